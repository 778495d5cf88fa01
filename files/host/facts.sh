# What many probes ask. An observation asks once for all of its probes (components/observation.py), and what it was told
# stands in variables; anywhere else there is nothing in them, and a probe asks by itself at the moment in which it looks.
declare -A KNOWN_FILES=() KNOWN_SERVICES=()
unset KNOWN_PORTS KNOWN_PROGRAMS # nobody's environment counts

# file_state PATH: owner, mode and digest of a file
file_state() {
    local digest
    digest=$(sha256sum <"$1")
    printf '%s sha256:%s\n' "$(stat -c '%U:%G %a' "$1")" "${digest%% *}"
}

# service_states UNIT…: `LOADED|ENABLED|ACTIVE|SINCE` of each of systemd's units, in their order
service_states() {
    local key value load='' enabled='' active='' since=''
    while IFS='=' read -r key value; do
        case $key in
            LoadState) load=$value ;;
            UnitFileState) enabled=$value ;;
            ActiveState) active=$value ;;
            StateChangeTimestamp) since=$value ;;
            '')
                printf '%s|%s|%s|%s\n' "$load" "$enabled" "$active" "$since"
                load='' enabled='' active='' since=''
                ;;
        esac
    done < <(systemctl show --timestamp=us -p LoadState -p UnitFileState -p ActiveState -p StateChangeTimestamp "$@" 2>/dev/null; echo)
}

# open_ports: `PORT ADDRESS` of each TCP socket that listens
open_ports() {
    ss -Hltn 2>/dev/null | awk '{address = $4; sub(/:[0-9]+$/, "", address); sub(/.*:/, "", $4); print $4, address}' | LC_ALL=C sort -u
}

# supervisor_rpc METHOD: Supervisor's XML-RPC over its own socket (supervisorctl starts a Python for it)
supervisor_rpc() {
    curl -s -m 5 --unix-socket /run/supervisor.sock -H 'Content-Type: text/xml' http://localhost/RPC2 \
        -d "<?xml version='1.0'?><methodCall><methodName>$1</methodName><params/></methodCall>" 2>/dev/null || true
}

# supervisor_processes: `GROUP STATE PID` of each process of Supervisor's programs
supervisor_processes() {
    local answer process group state in_group='<name>group</name>[[:space:]]*<value><string>([^<]*)' \
        in_state='<name>statename</name>[[:space:]]*<value><string>([A-Z]+)' in_pid='<name>pid</name>[[:space:]]*<value><int>([0-9]+)'
    answer=$(supervisor_rpc supervisor.getAllProcessInfo)
    answer=${answer//$'\n'/ }
    while read -r process; do
        if ! [[ $process =~ $in_group ]]; then continue; fi
        group=${BASH_REMATCH[1]}
        if ! [[ $process =~ $in_state ]]; then continue; fi
        state=${BASH_REMATCH[1]}
        if [[ $process =~ $in_pid ]]; then printf '%s %s %s\n' "$group" "$state" "${BASH_REMATCH[1]}"; else printf '%s %s 0\n' "$group" "$state"; fi
    done <<<"${answer//<struct>/$'\n'}"
}

# The same for all probes of an observation

# know_files PATH…: into KNOWN_FILES what is a regular file
know_files() {
    local path owner mode digest files=()
    local -A digests=()
    for path; do if [ -f "$path" ] && [ ! -L "$path" ]; then files+=("$path"); fi; done
    if ! ((${#files[@]})); then return; fi
    while read -r digest path; do digests[$path]=$digest; done < <(sha256sum "${files[@]}" 2>/dev/null)
    while read -r owner mode path; do
        if [ -v "digests[$path]" ]; then KNOWN_FILES[$path]="$owner $mode sha256:${digests[$path]}"; fi
    done < <(stat -c '%U:%G %a %n' "${files[@]}" 2>/dev/null)
}

# know_services UNIT…: into KNOWN_SERVICES, unless systemd did not tell of each
know_services() {
    local states state
    mapfile -t states < <(service_states "$@")
    if ((${#states[@]} != $#)); then return; fi
    for state in "${states[@]}"; do
        KNOWN_SERVICES[$1]=$state
        shift
    done
}

know_ports() { KNOWN_PORTS=$(open_ports); }
know_programs() { KNOWN_PROGRAMS=$(supervisor_processes); }
