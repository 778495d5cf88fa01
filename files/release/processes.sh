# The processes that run the application's code for long: workers, Reverb, a scheduler of Supervisor's.

# restart_workers: they are told to end, after the job that they are at, and Supervisor starts them again. Waits until those of before
# are gone and Supervisor has its programs running; non-zero where it does not get there.
# They look for the words of queue:restart and reverb:restart when they have slept, Reverb every five seconds, and go on with the old
# code until then: a signal is sooner.
restart_workers() {
    local before failing opcache status=0
    before=$(long_lived) failing=$(failing_before)
    as "$DEPLOY_USER" touch "$ROOT/.git/released" # what starts from now on has all of it
    hold_clients
    tell_processes
    end_processes "$before"
    refresh_opcache &
    opcache=$!
    start_failed "$failing"
    (cd "$ROOT" && as "$WEB_USER" touch -c bootstrap/cache/config.php)
    wait_for_processes "$before" "$failing" || status=$?
    wait "$opcache" || say "release: PHP-FPM was not asked to look at its files again; it does so by itself after two seconds"
    if [ -n "$HOLDER" ]; then kill "$HOLDER" 2>/dev/null || true; fi
    return "$status"
}

# tell_processes: neither knows of the other
tell_processes() {
    local reverb
    artisan reverb:restart &
    reverb=$!
    artisan queue:restart
    wait "$reverb" || say "release: this application has no reverb:restart; Reverb keeps the code it has"
}

# hold_clients: while Reverb starts anew, who asks for it is kept waiting instead of refused (see `upstream` in files/nginx/site.conf.j2);
# for half a minute at most
hold_clients() {
    HOLDER=''
    if ! is_atomic; then return; fi
    setpriv --reuid="$WEB_USER" --regid="$(id -g "$WEB_USER")" --clear-groups python3 -c '
import socket, time
def is_up():
    try:
        socket.create_connection(("127.0.0.1", 8080), 1).close()
    except OSError:
        return False
    return True
held, asked, until = [], 0.0, time.monotonic() + 30
server = socket.create_server(("127.0.0.1", 8079), backlog=512)
server.settimeout(0.02)
while (now := time.monotonic()) < until:
    try:
        held.append(server.accept()[0])
    except OSError:
        pass
    if held and now - asked > 0.02:
        asked = now
        if is_up():
            while held:
                held.pop().close()' </dev/null >/dev/null 2>&1 7>&- 8>&- &
    HOLDER=$!
    disown "$HOLDER" # bash would tell of its end
}

# long_lived: their numbers, a line each: whoever started them, and what Supervisor has for its programs, perhaps since a moment ago
long_lived() {
    {
        application_processes "$WEB_USER" "$SITE" | sed -nE "s/^([0-9]+) .*$LONG_LIVED.*/\1/p"
        program_processes "${PROGRAMS// /|}" | sed -nE 's/^[A-Z]+ ([1-9][0-9]*)$/\1/p'
    } | sort -un
}
end_processes() {
    # shellcheck disable=SC2086 # numbers
    if [ -n "$1" ]; then as "$WEB_USER" kill -TERM $1 2>/dev/null || true; fi
}
# still_there PIDS: those of them that have not ended; a number that comes again this soon is the same process
still_there() {
    local pid state
    for pid in $1; do
        state=$(state_of "$pid")
        if [ -n "$state" ] && [[ $state != [ZX] ]]; then printf '%s\n' "$pid"; fi
    done
}
# state_of PID: as ps shows it: R, S, D, Z, …
state_of() {
    local stat
    if read -r stat 2>/dev/null <"/proc/$1/stat"; then stat=${stat##*) } && printf '%s\n' "${stat%% *}"; fi
}
# none_left PIDS: most end at once, and are waited for in smaller steps
none_left() {
    local attempt
    for attempt in 1 2 3 4; do
        supervisor_rpc supervisor.getState >/dev/null
        if [ -z "$(still_there "$1")" ]; then return; fi
        if ((attempt < 4)); then sleep 0.03; fi
    done
    return 1
}

# wait_for_processes PIDS FAILING: each question wakes Supervisor, which else looks once a second at what has ended
wait_for_processes() {
    local left
    wait_until "$PATIENCE" none_left "$1" || true
    left=$(still_there "$1")
    if [ -n "$left" ]; then
        say "release: at a job that began before this release, and with the code of then until its end; Supervisor starts them anew after it:
$(xargs ps -o pid=,etime=,args= -p <<<"$left" || true)"
    fi
    printf '%s\n' "$left" >/run/itqan-told # probe_workers knows them
    RESTED=0
    if wait_until 12 programs_rest "$2" "$1" "$left" || programs_last "$2"; then return; fi
    say "itqan: release: Supervisor cannot start it with this code: $(probe_program "$FAILED"); its log ends:
$(supervisorctl tail "$FAILED:*" 2>&1 | tail -n 10)"
    return 1
}
PATIENCE=5

# programs_rest FAILING BEFORE LEFT: Supervisor runs its programs, but those that failed before, with processes that are none of before,
# unless they are left; and these have started: they wait for something, seen twice, if need be while Supervisor still counts the second
# that they have to live. On a slow host one that fails at its start has lived for that second.
programs_rest() {
    local program state pid judged='' running=yes
    for program in $PROGRAMS; do
        if [[ " $1 " != *" $program "* ]]; then judged+="|$program"; fi
    done
    while read -r state pid; do
        if [ "$state" = STOPPED ] || [[ $'\n'$3$'\n' = *$'\n'"$pid"$'\n'* ]]; then continue; fi
        if [[ $'\n'$2$'\n' = *$'\n'"$pid"$'\n'* ]] || [ "$(state_of "$pid")" != S ]; then
            RESTED=0
            return 1
        fi
        if [ "$state" != RUNNING ]; then running=''; fi
    done < <(program_processes "${judged#|}")
    ((RESTED += 1))
    [ -n "$running" ] && ((RESTED > 1))
}
# programs_last FAILING: after that wait: what runs did not start a moment ago, again; it is at work. FAILED
# is the first program of which that is not so
programs_last() {
    local program state pid
    for program in $PROGRAMS; do
        if [[ " $1 " = *" $program "* ]]; then continue; fi
        while read -r state pid; do
            if [ "$state" != STOPPED ] && { [ "$state" != RUNNING ] || (($(ps -o etimes= -p "$pid" || echo 0) < 5)); }; then
                FAILED=$program
                return 1
            fi
        done < <(program_processes "$program")
    done
}
# failing_before: the programs that failed before this release; one that fails with its code runs again with that of before
failing_before() {
    if is_begun; then
        if [ -z "$(noted FAILING)" ]; then note FAILING "those: $(programs_failing)"; fi
        noted FAILING
    else
        programs_failing
    fi
}
# start_failed FAILING: Supervisor gives a program up that has failed often, and waits longer after each failure before
start_failed() {
    local program
    for program in $(programs_failing); do
        if [[ " $1 " != *" $program "* ]]; then supervisorctl restart "$program:*" >/dev/null 2>&1 || true; fi
    done
}
programs_failing() {
    local program processes made='' failing='BACKOFF|FATAL|UNKNOWN' # EXITED lasts a moment: all of them are started again
    processes=$(supervisor_processes)
    for program in $PROGRAMS; do
        if [[ $(program_states "$program" "$processes") =~ $failing ]]; then made+="$program "; fi
    done
    printf '%s\n' "${made% }"
}

# workers: those of an earlier release are told to end
workers() {
    settle
    STEP="restart the workers"
    restart_workers
}
