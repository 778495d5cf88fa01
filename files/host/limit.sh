# collect SECONDS: wait for all probes; those that take longer are ended, and have said nothing. For `set -m`: each is the head
# of a process group then, so what it waits for (a client of a server that hangs) goes with it.
collect() {
    local pid until=$((${EPOCHREALTIME//[!0-9]/} + $1 * 1000000))
    while [ -n "$(jobs -pr)" ] && ((${EPOCHREALTIME//[!0-9]/} < until)); do sleep 0.03; done
    for pid in $(jobs -pr); do
        disown "$pid" 2>/dev/null # bash tells of no death of what is not its own
        kill -KILL -- "-$pid" 2>/dev/null
    done
}
