# observe NAME PROBE: run a probe in the background and print what it says, in pieces, as lines `NAME PIECE`.
# A line is one write below PIPE_BUF, so lines of different probes never mix; ASCII's unit separator stands for a
# newline inside a piece. No further process is started: there are many probes, and a fork costs a millisecond.
observe() {
    local name=$1 probe=$2 found
    (
        LC_ALL=C # pieces are counted in bytes
        found=$(eval "$probe" </dev/null 2>/dev/null)
        found=${found//$'\n'/$'\x1f'}
        while printf '%s %s\n' "$name" "${found:0:3000}" && [ "${#found}" -gt 3000 ]; do found=${found:3000}; done
    ) &
}
