# itqan-session OWNER NAME COLOUR WHAT WHO KIND [ARGUMENT…]
# A session on the host: a shell, artisan, or a client of the database or of Redis, as the right user; started as root.
#   OWNER   the stack that the host must belong to       NAME    as the prompt shows it
#   COLOUR  of the prompt (SGR, ECMA-48), or nothing     WHAT    what is noted of it in the log of releases, or nothing
#   WHO     the person at the other end                  KIND    shell, artisan, mysql, or redis with its host and port
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022

# run_as USER COMMAND…: with the user's home and environment, and the terminal that is there
run_as() {
    local user=$1 terminal
    shift
    # a user who opens it by its name, as tmux does, has to own it; sshd takes it back
    if terminal=$(tty); then chown "$user" "$terminal"; fi
    HOME=$(getent passwd "$user" | cut -d: -f6)
    export HOME USER=$user LOGNAME=$user SHELL=/bin/bash LANG=C.UTF-8
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    unset LC_ALL MAIL "${!SUDO_@}"
    exec runuser -u "$user" -- "$@"
}

# marked OPEN CLOSE TEXT: in the session's colour; OPEN and CLOSE stand around what takes no room in a line
marked() {
    if [ -z "$colour" ]; then printf '%s' "$3"; else printf '%s\e[%sm%s%s%s\e[0m%s' "$1" "$colour" "$2" "$3" "$1" "$2"; fi
}

# note_session: who, from where, what and when, beside the releases; a log that cannot be written keeps nobody out
note_session() {
    local log=/var/log/itqan/releases.jsonl
    mkdir -p "${log%/*}"
    printf '{"when": %s, "session": %s, "by": %s}\n' "$(json "$(date -u +%Y-%m-%dT%H:%M:%SZ)")" "$(json "$what")" \
        "$(json "$(caller_words) ($who)")" >>"$log" || say "itqan: $log could not be written"
}

shell() {
    cd "$ROOT"
    # evaluated before each prompt: one that .bashrc sets would replace PS1 itself
    # shellcheck disable=SC2089
    printf -v PROMPT_COMMAND "PS1='%s %s '" "$(marked '\[' '\]' " $name ")" '\u@\h:\w\$'
    # shellcheck disable=SC2090
    export PROMPT_COMMAND
    if (($#)); then
        # shellcheck disable=SC2016 # the inner shell's own words
        run_as "$DEPLOY_USER" bash -l -c 'exec "$@"' bash "$@"
    else
        run_as "$DEPLOY_USER" bash -l
    fi
}

artisan() {
    cd "$ROOT"
    # what tinker keeps of its own; the web user's home is nobody's to write in
    XDG_CONFIG_HOME=/run/itqan-$WEB_USER
    install -d -o "$WEB_USER" -g "$WEB_USER" -m 700 "$XDG_CONFIG_HOME"
    export XDG_CONFIG_HOME
    run_as "$WEB_USER" "$PHP" artisan "$@"
}

# root's: the file with the password is nobody else's to read, and it says who logs in
mysql_client() {
    local client=/etc/itqan/database.cnf
    if ! [ -s "$client" ]; then refuse "$client is not there; first: ./itqan up --stack $name"; fi
    export MYSQL_HISTFILE=/dev/null HOME=/root
    exec mysql --defaults-file="$client" --default-character-set=utf8mb4 --database="$DATABASE" \
        --prompt="$(marked $'\1' $'\2' "$name") [\\d]> " "$@"
}

redis_client() {
    local address=(-h "$1" -p "$2") line word
    shift 2
    while read -r line; do
        if ! [[ $line =~ ^AUTH\ [^\ ]+\ \"(.*)\"$ ]]; then continue; fi
        word=$(sed 's/\\n/\n/g; s/\\\(.\)/\1/g' <<<"${BASH_REMATCH[1]}")
        if [ "$(REDISCLI_AUTH=$word redis-cli "${address[@]}" ping 2>/dev/null </dev/null)" = PONG ]; then
            export REDISCLI_AUTH=$word # not an argument, which every user of this host could read
            break
        fi
    done < <(cat /etc/itqan/redis.login 2>/dev/null || true)
    run_as "$DEPLOY_USER" redis-cli "${address[@]}" "$@"
}

require_owner "$1"
name=$2 colour=$3 what=$4 who=$5 kind=$6
shift 6
if ! [ -r /etc/itqan/release.conf ]; then refuse "nothing was released on this host yet; first: ./itqan up --stack $name"; fi
# shellcheck source=/dev/null
. /etc/itqan/release.conf
if [ -n "$what" ]; then
    note_session
    if [ -t 2 ]; then say "$(marked '' '' " $name ") is a server; this is noted in its log of releases: $what"; fi
fi
case $kind in
    shell | artisan) "$kind" "$@" ;;
    mysql | redis) "${kind}_client" "$@" ;;
esac
