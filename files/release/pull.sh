# By hand, as deployment/deploy.sh starts it: the newest commit of the ref that the stack asks for.

WORDS=/var/log/itqan/by-hand.log # what the newest one said

# pull [OPTION…]: all nine steps, unless --quick is said
pull() {
    local REF='' STACK='' commit options=("$@")
    STEP="look for the newest commit"
    : >"$WORDS"
    if ! [ -s /etc/itqan/release.ref ]; then refuse "/etc/itqan/release.ref, which names what is deployed, is missing: ./itqan up makes it"; fi
    # shellcheck source=/dev/null
    . /etc/itqan/release.ref
    if [[ $REF =~ ^[0-9a-f]{40}$ ]]; then
        say "release: the stack asks for the one commit $REF; to follow a branch again: ./itqan deploy $STACK BRANCH"
        commit=$REF
    else
        newest_of "$REF"
        commit=$NEWEST
    fi
    if [[ " $* " != *' --quick '* ]]; then options=(--full "$@"); fi
    deploy "$REF" "$commit" "${options[@]}"
    say "release: ${commit:0:12}, the newest of $REF, runs"
}

# newest_of REF: sets NEWEST to the commit of a branch or a tag, by its whole name: git matches a short one by its end
newest_of() {
    local name
    ask_repository ls-remote origin "refs/heads/$1" "refs/tags/$1^{}" "refs/tags/$1"
    for name in "refs/heads/$1" "refs/tags/$1^{}" "refs/tags/$1"; do
        NEWEST=$(awk -v name="$name" '$2 == name {print $1}' <<<"$ANSWER")
        if [ -n "$NEWEST" ]; then break; fi
    done
    if [ -z "$NEWEST" ]; then refuse "$REPOSITORY has no branch or tag $1, which the stack asks for (itqan:release.ref)"; fi
}

# outlive WORD…: what has begun goes on to its end, whatever becomes of the terminal: in a session of its own, and its words
# to a file beside those who listen, so that there is always somebody who takes them
outlive() {
    BY_HAND=yes
    if [ "${ITQAN_SESSION-}" = own ]; then return; fi
    if [[ " $* " = *' --fresh '* ]]; then ask_for_name; fi
    mkdir -p "${WORDS%/*}"
    ITQAN_SESSION=own exec setsid --wait bash "$0" "$@" </dev/null > >(trap '' HUP INT PIPE; exec tee -p -a "$WORDS" >&2) 2>&1
}

ask_for_name() {
    local name=''
    TOLD=yes
    if [ "$(variable APP_ENV)" = production ]; then refuse "--fresh would drop the tables of a production server: refused, whatever else is said"; fi
    printf 'All tables are dropped. Type the name of the database, %s: ' "$DATABASE" >&2
    read -r name || true
    if [ "$name" != "$DATABASE" ]; then refuse "that is not its name; nothing was released"; fi
}

# take_lock: one run at a time, whoever started it; who waits is told for whom
take_lock() {
    local file=/run/lock/itqan-release-tool.lock
    exec 8>>"$file"
    if ! flock -n 8; then
        say "release: another release runs, begun by $(tail -n 1 "$file"); waiting for its end"
        if ! flock -w 900 8; then refuse "another release has run for 15 minutes, begun by $(tail -n 1 "$file"): see \`fuser -v $file\`"; fi
    fi
    printf '%s at %s\n' "$(caller_words)" "$(date +%H:%M:%S)" >"$file"
}
