# itqan-converge STACK NAME PROBE EXPECT APPLY [OUTPUT] <PAYLOAD
# itqan-converge STACK NAME --remove BASH
# Brings one unit of state to what is expected, on a host that belongs to STACK or to nobody yet.
#   PROBE   bash that prints the state     EXPECT  what it prints when the host is right
#   APPLY   bash that gets there           OUTPUT  bash whose output the caller wants afterwards
# Prints `NAME unchanged` or `NAME changed`, then OUTPUT's; exit 1 with the reason or with a diff.
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
umask 022

observe() { (set +euo pipefail; eval "$1") </dev/null 2>/dev/null || true; }

finish() {
    printf '%s %s\n' "$name" "$1"
    if [ -n "$output" ]; then eval "$output" </dev/null; fi
}

require_owner "$1"
shift
name=$1 probe=$2 expect=${3-} apply=${4-} output=${5-}
mkdir -p /run/lock
exec 9>"/run/lock/itqan-${name//\//-}.lock"
if ! flock -w 900 9; then refuse "$name: another run holds it for 15 minutes: see \`fuser -v /run/lock/itqan-${name//\//-}.lock\`"; fi

if [ "$probe" = --remove ]; then
    (eval "$expect") 9>&- >&2
    exit 0
fi

if [ "$(observe "$probe")" = "$expect" ]; then
    cat >/dev/null # the caller is still writing the payload
    finish unchanged
    exit 0
fi

(eval "$apply") 9>&- >&2
found=$(observe "$probe")
if [ "$found" != "$expect" ]; then
    say "itqan: $name: applied, yet the host is not as expected:"
    diff -u --label expected <(printf '%s\n' "$expect") --label found <(printf '%s\n' "$found") >&2 || true
    exit 1
fi
finish changed
