# CLIENT-FILE: whether the server answers root's tools, and the application's account with the settings' password
export -f sql_root
asked() {
    local said
    if said=$(timeout 8 "${@:2}" -N -e 'SELECT 1' 2>&1 </dev/null); then
        printf '%s ok\n' "$1"
    else
        printf '%s failed %s\n' "$1" "$(grep -v '^$' <<<"$said" | tail -n 1)"
    fi
}
# shellcheck disable=SC2016 # the inner shell's own words
asked server bash -c 'sql_root "$@"' _ &
asked account mysql "--defaults-file=$1" &
wait
