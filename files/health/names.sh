# SERVER NAME…: the addresses that a name server gives for names ('' = the host's own resolver)
server=$1
shift
ask() {
    local answer
    if ! answer=$(dig +time=1 +tries=1 +short ${server:+"@$server"} "$1" A "$1" AAAA 2>/dev/null); then
        printf 'name %s error no answer\n' "$1"
    else
        printf 'name %s%s\n' "$1" "$(grep -E '^([0-9]+\.){3}[0-9]+$|:' <<<"$answer" | LC_ALL=C sort -u | sed 's/^/ /' | tr -d '\n')"
    fi
}
for name; do ask "$name" & done
wait
