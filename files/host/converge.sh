# itqan-converge STACK NAME BYTES PROBE EXPECT APPLY [OUTPUT] <PAYLOAD
# itqan-converge STACK NAME --remove BASH
# Brings one unit of state to what is expected, on a host that belongs to STACK or to nobody yet.
#   BYTES   length of PAYLOAD
#   PROBE   bash that prints the state     EXPECT  what it prints when the host is right
#   APPLY   bash that gets there           OUTPUT  bash whose output the caller wants afterwards
# Prints `NAME unchanged` or `NAME changed`, then OUTPUT's; exit 1 with the reason or with a diff.
# What has begun goes on to its end, whatever becomes of the connection or of who waits for it at the other end: half a
# transaction of dpkg, half a migration is worse than one that nobody watches. The lock keeps the next run from it.
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
umask 022

# a session of its own: sshd passes the signals of who cancels to the whole process group
if [ "${ITQAN_SESSION-}" != own ]; then ITQAN_SESSION=own exec setsid --wait "$0" "$@"; fi
unset ITQAN_SESSION

observe() { (set +euo pipefail; eval "$1") </dev/null 2>/dev/null || true; }

# lock: one run of a unit at a time
lock() {
    local path=/run/lock/itqan-${name//\//-}.lock
    mkdir -p /run/lock
    exec 9>"$path"
    if flock -n 9; then return; fi
    say "$name: a run from before is still at it; waiting for its end"
    if ! flock -w 900 9; then refuse "$name: another run holds it for 15 minutes: see \`fuser -v $path\`"; fi
}

# receive BYTES: all of the payload, kept in memory without a name, before anything is done with it: a connection that
# ends early looks like the end of the payload
receive() {
    local file got
    file=$(mktemp /run/itqan-payload.XXXXXXXX)
    exec {payload}<>"$file"
    cat >"$file"
    got=$(stat -c %s "$file")
    rm -f "$file"
    if [ "$got" != "$1" ]; then refuse "$name: the connection ended after $got of $1 bytes; nothing was changed"; fi
}

# perform BASH, with the payload: what it says goes to standard error for as long as anybody listens there, and to WORDS
perform() {
    local status
    exec {words}<>"$(mktemp /run/itqan-words.XXXXXXXX)"
    rm -f "$(readlink "/proc/self/fd/$words")"
    set +e
    # what apply leaves running keeps neither the lock nor the payload
    (set -e; eval "$1") <&"$payload" {payload}>&- {words}>&- 9>&- 2>&1 | tee -p "/proc/self/fd/$words" >&2 9>&-
    status=${PIPESTATUS[0]}
    set -e
    if ((status)); then
        say_full_disk
        exit "$status"
    fi
}

# say_full_disk: programs say it in many words, and none of them where
say_full_disk() {
    local full
    if ! grep -qiE 'no space left on device|out of disk ?space|ENOSPC|enough free space|disk full|disk is full' "/proc/self/fd/$words"; then return; fi
    full=$(df -P -k -x devtmpfs 2>/dev/null | awk 'NR > 1 && $4 < 1024 && $2 > 0 {print $6}' | sort -u | tr '\n' ' ')
    say "itqan: $name: the disk is full${full:+: nothing is left on ${full% }}; make room (\`df -h\`), then type ./itqan up again"
}

finish() {
    printf '%s %s\n' "$name" "$1"
    if [ -n "$output" ]; then eval "$output" </dev/null; fi
}

require_owner "$1"
name=$2
shift 2
if [ "$1" = --remove ]; then
    lock
    exec {payload}</dev/null
    perform "$2"
    exit 0
fi

bytes=$1 probe=$2 expect=$3 apply=$4 output=${5-}
lock
if [ "$(observe "$probe")" = "$expect" ]; then
    cat >/dev/null # the caller is still writing the payload
    finish unchanged
    exit 0
fi
receive "$bytes"
perform "$apply"
found=$(observe "$probe")
if [ "$found" != "$expect" ]; then
    say "itqan: $name: applied, yet the host is not as expected:"
    diff -u --label expected <(printf '%s\n' "$expect") --label found <(printf '%s\n' "$found") >&2 || true
    exit 1
fi
finish changed
