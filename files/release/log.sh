# What is remembered of releases: a line of JSON for each, and a line in the application's own log.

# json TEXT: as a string of JSON
json() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# begin_log REF COMMIT: what is known before
begin_log() {
    REF=$1 COMMIT=$2 KIND=full BACKUP='' BY=$(caller_words) BEGAN=$EPOCHREALTIME
    FROM=$(deploy_git rev-parse -q --verify HEAD 2>/dev/null || true)
}

# caller_words: who started this, and from where, as far as the host knows: sudo and sshd leave it with the processes above
caller_words() {
    local pid=$$ address='' words word stat
    while ((pid > 1)) && [ -z "$address" ]; do
        mapfile -d '' -t words 2>/dev/null <"/proc/$pid/environ" || words=()
        for word in "${words[@]}"; do
            if [[ $word = SSH_CONNECTION=* ]]; then address=${word#*=} address=${address%% *}; fi
        done
        if ! read -r stat 2>/dev/null <"/proc/$pid/stat"; then break; fi
        read -r _ pid _ <<<"${stat##*) }" # after the name: state, parent
    done
    printf '%s%s%s\n' "${SUDO_USER:-$(id -un)}" "${address:+ from $address}" "${BY_HAND:+, by hand}"
}

# log_release RESULT [STEP]: RESULT is `released`, or what became of it. A log that cannot be written is no reason to take a
# release back.
log_release() { write_log "$@" || say "release: $RELEASES could not be written"; }
write_log() {
    local seconds author now
    seconds=$((${EPOCHREALTIME//[!0-9]/} - ${BEGAN//[!0-9]/}))
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    author=$(deploy_git show -s --format='%an <%ae>' "$COMMIT" 2>/dev/null || true)
    mkdir -p "${RELEASES%/*}"
    printf '{"when": %s, "commit": %s, "author": %s, "from": %s, "ref": %s, "kind": %s, "seconds": %d.%d, "by": %s, "backup": %s, "result": %s, "step": %s}\n' \
        "$(json "$now")" "$(json "$COMMIT")" "$(json "$author")" "$(json "$FROM")" "$(json "$REF")" "$(json "$KIND")" \
        $((seconds / 1000000)) $((seconds / 100000 % 10)) "$(json "$BY")" "$(json "$BACKUP")" "$(json "$1")" "$(json "${2-}")" >>"$RELEASES" || return
    if [ "$1" = released ]; then mark_in_application_log || say "release: storage/logs/laravel.log could not be written"; fi
}

# mark_in_application_log: in the form of Laravel's own lines, past LOG_LEVEL
mark_in_application_log() {
    local name zone
    name=$(variable APP_ENV) zone=$(variable APP_TIMEZONE)
    printf '[%s] %s.NOTICE: released %s (%s), %s; before it %s\n' "$(TZ=${zone:-UTC} date '+%Y-%m-%d %H:%M:%S')" "${name:-production}" \
        "$COMMIT" "$REF" "$KIND" "${FROM:-nothing}" | as "$WEB_USER" tee -a "$ROOT/storage/logs/laravel.log" >/dev/null
}
# variable NAME: a plain value of .env
variable() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$ROOT/.env" | tail -n 1; }
