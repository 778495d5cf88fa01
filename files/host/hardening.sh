# How a host is closed: addresses that servers listen on, sshd, the firewall, sandboxes. After applies.sh.

# mute_lines PATTERN FILE [TEST…]: lines of somebody else's file that win over ours become comments, whatever else the file
# says stays; a copy of it is kept. PATTERN is one of grep -iE for the beginning of a line.
mute_lines() {
    local pattern=$1 file
    file=$(readlink -f "$2") # a link of Debian's alternatives stays one
    shift 2
    if ! [ -f "$file" ] || ! grep -qiE "^[[:space:]]*($pattern)" "$file"; then return; fi
    say "$file: out of force from now on (a copy stays in /var/backups/itqan): $(grep -iE "^[[:space:]]*($pattern)" "$file" | paste -sd ';')"
    sed -E "s/^[[:space:]]*($pattern)/# itqan: &/I" "$file" | place "$file" "$(stat -c '%U:%G' "$file")" "$(stat -c '%a' "$file")" "$@"
}

# unmute_lines FILE [TEST…]: in force again
unmute_lines() {
    local file
    file=$(readlink -f "$1")
    shift
    if ! grep -qs '^# itqan: ' "$file"; then return; fi
    sed 's/^# itqan: //' "$file" | place "$file" "$(stat -c '%U:%G' "$file")" "$(stat -c '%a' "$file")" "$@"
}

# bind_database SERVICE HOST PORT FILE <CONTENT: the server listens there and nowhere else. It takes the last line that it
# reads, so those that it reads after FILE are put out of force: the main file's own, then the folder's from its end.
bind_database() {
    local service=$1 host=$2 port=$3 file=$4 path
    place "$file" root:root 644
    while read -r path; do
        if [ "$(configured_address)" = "$host" ] || [ "$path" = "$file" ]; then break; fi
        mute_lines 'bind[-_]address[[:space:]]*=' "$path"
    done < <(printf '%s\n' /etc/mysql/my.cnf; printf '%s\n' "$(dirname "$file")"/*.cnf | LC_ALL=C sort -r)
    systemctl restart "$service"
    refuse_exposed "$port" "$service" "\`my_print_defaults mysqld server mariadb\`, \`ls /var/lib/mysql/mysqld-auto.cnf\`"
}
# MariaDB's tool knows the server's groups by themselves, MySQL's has to be told
configured_address() {
    { command my_print_defaults --mysqld 2>/dev/null || command my_print_defaults mysqld server mysqld-8.0; } | sed -nE 's/^--bind[-_]address=//p' | tail -n 1
}

# bind_redis HOST PORT: Redis listens there and nowhere else, without a restart where it can (from 6.2 on). It takes the last
# line that it reads, included files count where they are named.
bind_redis() {
    local host=$1 port=$2 file=/etc/redis/redis.conf at
    at=$(probe_listening "$port" | sed -E 's/.* //; s/[][]//g')
    { grep -viE '^[[:space:]]*(bind|protected-mode)[[:space:]]' "$file"; printf 'bind %s\nprotected-mode yes\n' "$host"; } \
        | place "$file" "$(stat -c '%U:%G' "$file")" "$(stat -c '%a' "$file")"
    ask_redis "$at" "$port" "config set bind $host" >/dev/null || true
    ask_redis "$host" "$port" "config set protected-mode yes" >/dev/null || true
    if ! wait_until 1 not_exposed "$port"; then
        # without a line `save` in its file Redis ends without writing what it has in memory: sessions, queued jobs
        if [ "$(ask_redis "$at" "$port" save)" != OK ]; then
            refuse "Redis has to be restarted to listen on $host only, and does not write what it has in memory before; \
see \`redis-cli -h $at -p $port save\`, then: systemctl restart redis-server"
        fi
        systemctl restart redis-server
        wait_until 10 redis_answers "$host" "$port"
    fi
    refuse_exposed "$port" redis-server "\`redis-cli -p $port config get bind\`"
}

not_exposed() { [ "$(probe_exposed "$1")" = "port $1 not exposed" ]; }
# refuse_exposed PORT SERVICE LOOK: nothing that a configuration file says opens the port any more, something else does
refuse_exposed() {
    if ! wait_until 10 not_exposed "$1"; then refuse "$(probe_exposed "$1"), although no file of $2 says so: see \`systemctl cat $2\`, $3"; fi
}

# restrict_sshd FILE STATE: sshd is as STATE says, in the words of probe_sshd. A Match block wins over all else, then the first
# line that sshd reads does: what of the one kind, and before FILE, says otherwise is put out of force until it is so.
restrict_sshd() {
    local file=$1 state=$2 path paths=()
    mapfile -t paths < <(probe_sshd | sed -n 's/^sshd exception \([^ ]*\) .*/\1/p' | sort -u)
    for path in "$(dirname "$file")"/*.conf; do
        if [[ $path < $file ]]; then paths+=("$path"); fi
    done
    for path in "${paths[@]}" /etc/ssh/sshd_config; do
        if [ "$(probe_sshd)" = "$state" ]; then break; fi
        mute_lines '(PasswordAuthentication|KbdInteractiveAuthentication|ChallengeResponseAuthentication|PermitEmptyPasswords|PermitRootLogin)[[:space:]=]' \
            "$path" /usr/sbin/sshd -t
    done
    systemctl reload ssh
}
# release_sshd FILE: our own file goes, and what it put out of force comes back
release_sshd() {
    local path
    rm -f "$1"
    for path in /etc/ssh/sshd_config "$(dirname "$1")"/*.conf; do
        if [ -f "$path" ]; then unmute_lines "$path" /usr/sbin/sshd -t; fi
    done
    systemctl reload ssh
}
# require_include FILE: before anything is changed
require_include() {
    local folder
    folder=$(dirname "$1")
    if ! grep -qiE "^[[:space:]]*Include[[:space:]]+\"?$folder/" /etc/ssh/sshd_config; then
        refuse "/etc/ssh/sshd_config does not read $folder; make this its first line: Include $folder/*.conf"
    fi
}

# load_firewall FILE PORT SECONDS <RULES: the rules take effect, provided that they let in the connection over which this
# runs. Its packets meet the rule for PORT before any other, and that rule does not ask whether a connection is new: the first
# one that it counts proves that a new connection would get in as well. Without that proof what was loaded before comes back;
# a timer of systemd sees to it, SECONDS later, where this process or the whole connection is gone by then. FILE, which the
# next boot reads, gets only rules that were proved.
load_firewall() {
    local file=$1 port=$2 seconds=$3 new=/run/itqan-firewall-new before=/run/itqan-firewall-before undo=itqan-firewall-undo
    cat >"$new"
    if ! nft -c -f "$new"; then refuse "firewall: nft refuses the rules, its words stand above; nothing was loaded"; fi
    { printf 'table inet itqan\ndelete table inet itqan\n'; nft list table inet itqan 2>/dev/null || true; } >"$before"
    systemctl stop -q "$undo.timer" 2>/dev/null || true
    systemd-run -q --collect --unit="$undo" --on-active="$seconds" --timer-property=AccuracySec=1s nft -f "$before"
    nft -f "$new"
    # the other side answers to this line with a packet
    say "firewall: loaded; it stays when a packet of this connection comes in by the rule for port $port"
    if ! wait_until 10 firewall_lets_in "$port"; then
        nft -f "$before" && systemctl stop -q "$undo.timer"
        refuse "firewall: no packet of this connection came in at port $port within 10 seconds: does sshd listen on another port \
(\`sshd -T | grep ^port\`), behind a forwarded one? The rules that were loaded before are back"
    fi
    systemctl stop -q "$undo.timer"
    place "$file" root:root 644 <"$new"
    rm -f "$new" "$before"
}
firewall_lets_in() { nft list chain inet itqan input | grep -q "tcp dport $1 counter packets [1-9]"; }

# install_strict PACKAGE…: where unattended-upgrades comes only now it does not switch itself on: our own file does, and with
# that it is off again
install_strict() {
    if [ "$(probe_package unattended-upgrades)" = 'package unattended-upgrades absent' ]; then
        debconf-set-selections <<<'unattended-upgrades unattended-upgrades/enable_auto_updates boolean false'
    fi
    apt_install "$@"
    restore_holds
}

# restart_sandboxed SERVICE SEEN FILE: restarted, until its main process is seen with the sandbox of FILE: `restart` returns
# before systemd's child has put it on. A kernel that refuses one costs nobody the service: it runs without.
restart_sandboxed() {
    systemctl daemon-reload
    if systemctl restart "$1" && wait_until 30 sandboxed "$1" "$2"; then return; fi
    say "$(journalctl -q -n 5 -o cat -u "$1" 2>&1 || true)"
    rm -f "$3"
    systemctl daemon-reload
    systemctl reset-failed "$1" || true
    systemctl restart "$1"
    refuse "$1: does not run in its sandbox, and goes on without: its last words stand above; see \`journalctl -u $1\`"
}
sandboxed() { [ "$(probe_sandbox "$1")" = "$2" ]; }
