# itqan-backup: backups of the database and of the files that tenants brought, and the way back (docs/backups.md).
#   make REASON                    one backup, its copy at the second place, then what the rule does not keep goes
#   ended                          for systemd, after a run: one that was killed is noted as failed
#   list                           a line `here|second MANIFEST` for each backup, and what is known of runs
#   headers NAME [second]          the heads of its encrypted parts, which say who can read them
#   send NAME [second]             its files as a tar archive; `second`: as the second place has them
#   receive                        such an archive, on the host that it is to be restored on
#   restore NAME [UNTIL] <KEYS     the database and the files as the backup has them; KEYS as operations/restore.py sends them
#   waiting                        whether a restore did not get to its end
#   continue                       a restore that did not get to its end
#   note KIND STATE WORDS          what was found elsewhere, as by a restore test
# Reads /etc/itqan/release.conf and, where backups are configured, /etc/itqan/backup.conf. Nothing here can decrypt a backup
# without KEYS, and these are kept in memory only.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 077
cd /

# who listens may go away: a restore that has begun goes on
trap '' PIPE HUP
say() { printf '%s\n' "$*" >&2 || true; }

# a reason that was told once is the one that is noted
refuse() {
    WHY=$*
    say "itqan: backup: $*$(advice)"
    exit "${STATUS:-1}"
}
# advice: what follows a reason where a restore stopped half-way; in the same line, for the last one is told elsewhere
advice() {
    if [ "$KIND" = restore ] && is_restoring; then
        printf '; the site stays in maintenance mode; when the cause is gone, ./itqan restore %s (without the identity) goes on' "$STACK"
    fi
}
# damaged: refused for what the backup is, and for nothing else; a restore test must not take a full disk for that
damaged() { STATUS=3 refuse "$@"; }

# note_result KIND STATE WORDS: for `health`, and as a line of the log. WORDS are one line.
note_result() {
    local told=${3//[[:cntrl:]]/ }
    printf '%s %s %s\n' "$EPOCHSECONDS" "$2" "$told" >"$STATE/.$1.new"
    chmod 644 "$STATE/.$1.new"
    mv -f "$STATE/.$1.new" "$STATE/$1"
    mkdir -p "${LOG%/*}"
    printf '{"when": %s, "what": %s, "result": %s, "words": %s, "by": %s}\n' "$(json "$(date -u +%Y-%m-%dT%H:%M:%SZ)")" \
        "$(json "$1")" "$(json "$2")" "$(json "$told")" "$(json "$(caller_words)")" >>"$LOG" || say "backup: $LOG could not be written"
}
# noted_result KIND: its state
noted_result() { cut -d' ' -f2 "$STATE/$1" 2>/dev/null || true; }

# end_of_run STATUS: what began and failed is noted, with its reason
end_of_run() {
    rm -rf "$WORK"
    if ! (($1)) || [ -z "$KIND" ]; then return; fi
    if [ -z "$WHY" ]; then
        WHY="failed in: $STEP"
        say "itqan: backup: $WHY$(advice)"
    fi
    note_result "$KIND" failed "$WHY"
}

# locked: one run at a time; a release and a backup of the database wait for each other in make.sh and restore.sh
locked() {
    exec 8>/run/lock/itqan-backup.lock
    if flock -n 8; then return; fi
    say "backup: another backup or restore runs: waiting for its end"
    if ! flock -w 900 8; then refuse "another backup or restore runs: see \`fuser -v /run/lock/itqan-backup.lock\`"; fi
}
# release_locked, release_unlocked: no release meanwhile, which would change tables or code
release_locked() {
    exec 7>>/run/lock/itqan-release-tool.lock
    if flock -n 7; then return; fi
    say "backup: a release runs: waiting for its end"
    if ! flock -w 900 7; then refuse "a release runs: wait for its end"; fi
}
release_unlocked() { exec 7>&-; }

book() { /usr/local/sbin/itqan-backup-book "$@"; }

# note KEY VALUE, is_begun: as a release's steps call them; a restore has its own journal
note() { :; }
is_begun() { false; }

# free_kilobytes PATH; require_room PATH KILOBYTES FOR
free_kilobytes() { df -Pk "$1" | awk 'NR == 2 {print $4}'; }
require_room() {
    local free
    free=$(free_kilobytes "$1")
    if ((free < $2)); then refuse "$1: too little free disk space for $3 (disk full?): $((free / 1024)) MB of $(($2 / 1024)) MB; nothing was changed"; fi
}

# shellcheck source=/dev/null
. /etc/itqan/release.conf
SITE=$ROOT
FOLDERS=$(folders_of "$SITE")
find_folders
RECIPIENTS='' PLACE='' FILES='' KEEP=''
# shellcheck source=/dev/null
if [ -e /etc/itqan/backup.conf ]; then . /etc/itqan/backup.conf; fi
KIND='' STEP='start' WHY=''
STATE=/var/lib/itqan/backup
JOURNAL=$STATE/restoring
LOG=/var/log/itqan/backups.jsonl
MAC=/etc/itqan/backup.mac
OWNER=$(probe_owner)
OWNER=${OWNER#owner }
STACK=${OWNER#itqan/} STACK=${STACK%% *}
install -d -m 755 /var/lib/itqan "$STATE"
WORK=$(mktemp -d "$STATE/work.XXXXXXXX")
trap 'end_of_run $?' EXIT
case ${1-} in
    make) locked; make "${2-by hand}" ;;
    ended) ended ;;
    list) list ;;
    headers) locked; headers "$2" "${3-}" ;;
    send) locked; send "$2" "${3-}" ;;
    receive) locked; receive ;;
    restore) locked; restore "$2" "${3-}" ;;
    continue) locked; continue_restore ;;
    waiting) is_restoring ;;
    note) note_result "$2" "$3" "$4" ;;
    *) refuse "usage: itqan-backup make|ended|list|headers|send|receive|restore|continue|note" ;;
esac
