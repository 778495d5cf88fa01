# How the state of the host is seen. Probes only read, print one canonical line for each thing, and never fail.

# probe_file PATH…: owner, mode and digest of regular files; one that a killed run left before its test (see `place`) is
# not right, whatever is in it
probe_file() {
    local path kept
    for path; do
        kept=${path%/*}/.${path##*/}.itqan-before
        if [ -e "$kept" ] || [ -L "$kept" ]; then
            printf 'file %s not tested\n' "$path"
        elif [ -f "$path" ] && [ ! -L "$path" ]; then
            printf 'file %s %s\n' "$path" "${KNOWN_FILES[$path]-$(file_state "$path")}"
        else
            printf 'file %s absent\n' "$path"
        fi
    done
}

# probe_secret_file PATH: the same; the digest is that of a key of the stack and the content, so that nobody who reads it can
# try out what a short secret may be
probe_secret_file() {
    local digest
    if [ -f "$1" ] && [ ! -L "$1" ]; then
        digest=$(cat /etc/itqan/digest.key "$1" 2>/dev/null | sha256sum)
        printf 'file %s %s keyed-sha256:%s\n' "$1" "$(stat -c '%U:%G %a' "$1")" "${digest%% *}"
    else
        printf 'file %s absent\n' "$1"
    fi
}

# probe_directory PATH…: owner and mode of directories
probe_directory() {
    local path
    for path; do
        if [ -d "$path" ]; then
            printf 'directory %s %s\n' "$path" "$(stat -L -c '%U:%G %a' "$path")"
        else
            printf 'directory %s absent\n' "$path"
        fi
    done
}

# probe_link PATH…: where symbolic links point
probe_link() {
    local path
    for path; do
        if [ -L "$path" ]; then
            printf 'link %s -> %s\n' "$path" "$(readlink "$path")"
        else
            printf 'link %s absent\n' "$path"
        fi
    done
}

# probe_entries DIRECTORY [GLOB]: the names in a directory, sorted; hidden ones are nobody's configuration
probe_entries() {
    local LC_ALL=C path names=''
    for path in "$1"/${2:-*}; do
        if [ -e "$path" ] || [ -L "$path" ]; then names+=" ${path##*/}"; fi
    done
    printf 'entries %s%s\n' "$1" "$names"
}

# probe_service UNIT…: whether systemd units are enabled and active
probe_service() {
    local unit load enabled active
    for unit; do
        IFS='|' read -r load enabled active _ <<<"${KNOWN_SERVICES[$unit]-$(service_states "$unit")}"
        if [ "$load" = loaded ] || [ "$load" = masked ]; then
            printf 'service %s %s %s\n' "$unit" "$enabled" "$active"
        else
            printf 'service %s absent\n' "$unit"
        fi
    done
}

# probe_timer UNIT: when systemd's timer starts what it is for
probe_timer() {
    printf 'timer %s%s\n' "$1" "$(systemctl show -p TimersCalendar --value "$1" 2>/dev/null | sed -n 's/.*OnCalendar=\([^;]*[^; ]\) *;.*/ \1/p')"
}

# changed_at FILE…: when the youngest of them was written, in microseconds; 0 where there is none
changed_at() {
    local at youngest=0
    while read -r at; do
        at=${at//[!0-9]/}
        if ((at > youngest)); then youngest=$at; fi
    done < <(stat -c %.6Y "$@" 2>/dev/null)
    printf '%s\n' "$youngest"
}

# started_at PATTERN, in a subshell of its own: when the youngest process that matches was started, in microseconds;
# nothing where there is none. ps knows whole seconds only; the kernel counts hundredths, from a time that a container may
# not know: what they say of this subshell, which was started now, is the measure.
started_at() {
    local now=${EPOCHREALTIME//[!0-9]/} pid own ticks=0 youngest=0
    read_ticks "$BASHPID"
    own=$ticks
    # the pattern is anchored: this very text stands in the arguments of the shell that runs it
    for pid in $(pgrep -f "^$1"); do
        read_ticks "$pid"
        if ((ticks > youngest)); then youngest=$ticks; fi
    done
    if ((youngest)); then printf '%s\n' $((now - (own - youngest) * 10000)); fi
}
# read_ticks PROCESS: its start into `ticks`; one that has ended leaves that alone
read_ticks() {
    local stat fields
    if read -r stat 2>/dev/null <"/proc/$1/stat"; then
        read -r -a fields <<<"${stat##*)}" # a program's name can have blanks
        ticks=${fields[19]}
    fi
}

# probe_loaded NAME PATTERN FILE…: whether the youngest process that matches started after the files changed; a twentieth
# of a second before counts as after, because of the rounding
probe_loaded() {
    local name=$1 started
    started=$(started_at "$2")
    shift 2
    if [ -z "$started" ]; then
        printf 'loaded %s not running\n' "$name"
    elif (($(changed_at "$@") <= started + 50000)); then
        printf 'loaded %s current\n' "$name"
    else
        printf 'loaded %s stale\n' "$name"
    fi
}

# probe_reloaded SERVICE FILE: whether a service was started or reloaded after the file changed; for servers whose old
# parent forks children at any time, so that a young child proves nothing
probe_reloaded() {
    local active since at
    IFS='|' read -r _ _ active since <<<"${KNOWN_SERVICES[$1]-$(service_states "$1")}"
    at=$(date -d "$since" +%s%6N 2>/dev/null || echo 0)
    if [[ $active != @(active|reloading|refreshing) ]]; then
        printf 'loaded %s not running\n' "$1"
    elif (($(changed_at "$2") <= at)); then
        printf 'loaded %s current\n' "$1"
    else
        printf 'loaded %s stale\n' "$1"
    fi
}

# probe_second_fpm: whether a killed run left a second FPM under the socket's path (see reload_fpm)
probe_second_fpm() { if [ -e /run/itqan-fpm.conf ]; then printf 'second FPM answers\n'; else printf 'second FPM none\n'; fi; }

# probe_cached ROOT: whether the cached configuration is younger than .env
probe_cached() {
    local cache=$1/bootstrap/cache/config.php
    if [ -e "$cache" ] && ! [ "$cache" -nt "$1/.env" ]; then
        printf 'environment not cached\n'
    else
        printf 'environment cached\n'
    fi
}

# probe_check NAME COMMAND…: whether a read-only check passes
probe_check() {
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then printf '%s ok\n' "$name"; else printf '%s failed\n' "$name"; fi
}

# MariaDB's client encrypts, from 11.4 on, even what does not leave the host, which takes longer than all that is asked.
# MySQL's does not know the word, and does so over TCP only.
if [ -x /usr/sbin/mariadbd ]; then SQL_PLAIN=(--skip-ssl); else SQL_PLAIN=(); fi

# sql_root WORD…: the client as the server's administrator. Debian's and Ubuntu's maintenance account works where root
# has a password, too; without that file root logs in by its socket.
sql_root() {
    local login=--no-defaults
    if [ -s /etc/mysql/debian.cnf ]; then login=--defaults-file=/etc/mysql/debian.cnf; fi
    mysql "$login" "${SQL_PLAIN[@]}" "$@"
}

# sql STATEMENTS: rows, as they are
sql() { sql_root -N -B -r -e "$1" </dev/null 2>/dev/null; }

# probe_program GROUP: how many of a Supervisor program's processes are in which state; STARTING (a worker that has just
# been told to restart) is not one to judge by, so it gets three seconds
probe_program() {
    local states attempt
    for attempt in {1..15}; do
        states=$(program_states "$1" "${KNOWN_PROGRAMS-$(supervisor_processes)}")
        unset KNOWN_PROGRAMS # from now on it is asked anew
        if [[ $states != *STARTING* ]]; then break; fi
        if ((attempt < 15)); then sleep 0.2; fi
    done
    printf 'program %s%s\n' "$1" "${states:- absent}"
}

# program_states GROUP PROCESSES: how many of the group are in each of Supervisor's states
program_states() {
    local group state
    local -A count=()
    while read -r group state _; do
        if [ "$group" = "$1" ]; then ((count[$state] += 1)); fi
    done <<<"$2"
    for state in BACKOFF EXITED FATAL RUNNING STARTING STOPPED STOPPING UNKNOWN; do
        if [ -v "count[$state]" ]; then printf ' %s %d' "$state" "${count[$state]}"; fi
    done
}

# program_processes GROUPS: `STATE PID` of each process of Supervisor programs, whose names stand as a|b
program_processes() { supervisor_processes | sed -nE "s/^($1) //p"; }

# probe_groups GROUP…: programs that Supervisor has and that are not named
probe_groups() {
    local group further=''
    while read -r group _; do
        if [[ " $* $further " != *" $group "* ]]; then further+=" $group"; fi
    done <<<"${KNOWN_PROGRAMS-$(supervisor_processes)}"
    printf 'further programs%s\n' "${further:- none}"
}

# The 18 privileges that ALL has on a schema in MySQL 8.0; MariaDB has some more.
SCHEMA_PRIVILEGES="'ALTER','ALTER ROUTINE','CREATE','CREATE ROUTINE','CREATE TEMPORARY TABLES','CREATE VIEW','DELETE','DROP',\
'EVENT','EXECUTE','INDEX','INSERT','LOCK TABLES','REFERENCES','SELECT','SHOW VIEW','TRIGGER','UPDATE'"

# probe_schema NAME USER HOST…: a schema's character set; an account's global privileges, and the schemas on which
# it has all or some rights, and whether two passwords open it. A grant written by hand has no backslash before an underscore, and so stands for any
# character there: that counts as the same, because to replace it a running application would lose its rights for a
# moment. One call of the client, which takes longer to start than to ask.
probe_schema() {
    local name=$1 user=$2 host grantee statements second="mysql.user WHERE JSON_CONTAINS_PATH(IFNULL(User_attributes, '{}'), 'one', \
'\$.additional_password')"
    shift 2
    if [ -x /usr/sbin/mariadbd ]; then second="mysql.global_priv WHERE 1 < JSON_LENGTH(Priv, '\$.auth_or')"; fi
    statements="SELECT CONCAT('database $name ', IFNULL((SELECT default_character_set_name FROM information_schema.schemata \
WHERE schema_name = '$name'), 'absent'));"
    for host; do
        grantee="\\'$user\\'@\\'$host\\'"
        statements+="SELECT CONCAT('account $user@$host ', IFNULL((SELECT GROUP_CONCAT(DISTINCT privilege_type ORDER BY 1) FROM \
information_schema.user_privileges WHERE grantee = '$grantee'), 'absent'), IFNULL((SELECT GROUP_CONCAT(entry ORDER BY entry SEPARATOR '') \
FROM (SELECT CONCAT(' ', name, IF(SUM(fits) = 18, ':ALL', ':SOME')) AS entry FROM (SELECT REPLACE(table_schema, '\\\\_', '_') AS \
name, privilege_type IN ($SCHEMA_PRIVILEGES) AS fits FROM information_schema.schema_privileges WHERE grantee = '$grantee') AS granted \
GROUP BY name) AS entries), ''));\
SELECT 'account $user@$host has a second password' FROM $second AND user = '$user' AND host = '$host';"
    done
    sql "$statements"
}

# probe_records SERVER NAME TYPE [NAME TYPE]…: what a name server answers ('' = the host's own resolver)
probe_records() {
    local server=$1 queries=()
    shift
    if (($# == 0)); then return; fi
    queries=("$@")
    dig +time=2 +tries=2 ${server:+"@$server"} +noall +answer +nocookie "${queries[@]}" 2>/dev/null \
        | awk '$4 == "A" || $4 == "AAAA" {sub(/\.$/, "", $1); print "record", $1, $4, $5}' | LC_ALL=C sort -u
}

# probe_zone SERVER ZONE NAME TYPE [NAME TYPE]…: what every name server of a zone answers; SERVER knows which these are
# ('' = the host's own resolver). A record that not all of them have says how many do: a cache may hold either.
probe_zone() {
    local server=$1 zone=$2 servers
    shift 2
    mapfile -t servers < <(dig +time=2 +tries=2 +short ${server:+"@$server"} "$zone" NS 2>/dev/null | grep -v '^;')
    if ((${#servers[@]} == 0)); then printf 'zone %s has no name server\n' "$zone"; fi
    for server in "${servers[@]}"; do probe_records "$server" "$@" & done \
        | LC_ALL=C sort | uniq -c | awk -v all="${#servers[@]}" '
            {count = $1; sub(/^ *[0-9]+ /, ""); print $0 (count == all ? "" : " at " count " of " all " name servers")}'
}

# probe_lineage NAME [issuer] [renewal]: a certbot lineage: names, whether it lasts, who signed it, how it is renewed.
# certbot renews when a third of the lifetime is left (30 of 90 days; 1.21 always at 30 days), and its timer runs twice a
# day: a healthy host always has more than a third less two days, with shorter lifetimes too, and less is a renewal
# that has failed for two days.
probe_lineage() {
    local folder=/etc/letsencrypt/live/$1 conf=/etc/letsencrypt/renewal/$1.conf line names='' from='' to='' now left issuer=''
    if ! [ -s "$folder/fullchain.pem" ]; then
        printf 'certificate %s absent\n' "$1"
        return
    fi
    while read -r line; do
        case $line in
            notBefore=*) from=${line#*=} ;;
            notAfter=*) to=${line#*=} ;;
            issuer=*) issuer=$line ;;
            DNS:* | *' DNS:'*) names=$(grep -o 'DNS:[^, ]*' <<<"$line" | LC_ALL=C sort | tr '\n' ' ') ;;
        esac
    done < <(openssl x509 -in "$folder/fullchain.pem" -noout -dates -issuer -ext subjectAltName 2>/dev/null)
    printf 'certificate %s %s\n' "$1" "${names% }"
    { read -r from && read -r to; } < <(date -f - +%s <<<"$from"$'\n'"$to" 2>/dev/null || printf '0\n0\n')
    printf -v now '%(%s)T' -1
    left=$((to - now))
    if ((3 * left >= to - from - 3 * 2 * 86400 && left > 0)); then
        printf 'certificate %s lasts\n' "$1"
    else
        printf 'certificate %s ends in %d days\n' "$1" $((left / 86400))
    fi
    if [ "$(probe_links "$1")" != whole ]; then printf 'certificate %s half written\n' "$1"; fi
    if [[ " $* " = *' issuer '* ]]; then printf 'certificate %s of %s\n' "$1" "$(issuer_name "$issuer")"; fi
    if [[ " $* " != *' renewal '* ]]; then return; fi
    sed -n 's/^\(server\|authenticator\|manual_[a-z]*_hook\) = \(.*\)/renewal \1 \2/p' "$conf" 2>/dev/null | LC_ALL=C sort
}

# probe_links LINEAGE: whether the four files are there and of one certificate: certbot changes links, one after the other,
# and a killed one leaves a key that is not the certificate's
probe_links() {
    local folder=/etc/letsencrypt/live/$1 item target version first=''
    for item in cert privkey chain fullchain; do
        if ! [ -s "$folder/$item.pem" ]; then echo half; return; fi
    done
    while read -r target; do
        target=${target%.pem} version=${target##*[!0-9]}
        if [ -n "$version" ] && [ "$version" != "${first:=$version}" ]; then echo half; return; fi
    done < <(readlink "$folder"/{cert,privkey,chain,fullchain}.pem 2>/dev/null)
    echo whole
}

# issuer_name ISSUER: an authority by the name that the settings know it by, whatever its intermediate is called
issuer_name() {
    case $1 in
        *STAGING*) echo letsencrypt-staging ;;
        *Let?s\ Encrypt*) echo letsencrypt ;;
        *Pebble*) echo pebble ;;
        *) printf '%s\n' "${1#issuer=}" ;;
    esac
}

# probe_served NAME LINEAGE: whether what port 443 shows for a name is a lineage's certificate. Who trusts it is not asked
# here: to load all authorities takes longer than the rest.
probe_served() {
    local served wanted
    served=$(first_certificate "$(timeout 10 openssl s_client -connect 127.0.0.1:443 -servername "$1" -no-CAfile -no-CApath </dev/null 2>/dev/null)")
    wanted=$(first_certificate "$(cat "/etc/letsencrypt/live/$2/cert.pem" 2>/dev/null)")
    if [ -z "$served" ]; then
        printf 'served %s nothing\n' "$1"
    elif [ "$served" = "$wanted" ]; then
        printf 'served %s the certificate of %s\n' "$1" "$2"
    else
        printf 'served %s another certificate, %s\n' "$1" "$(base64 -d <<<"$served" 2>/dev/null | openssl x509 -inform DER -noout -serial 2>/dev/null)"
    fi
}

# first_certificate TEXT: the first one in it, in base64 without any breaks
first_certificate() { if [[ $1 =~ -----BEGIN\ CERTIFICATE-----([^-]*)-----END ]]; then printf '%s\n' "${BASH_REMATCH[1]//[[:space:]]/}"; fi; }

# probe_crontab USER FOLDER: a user's crontab, and how many lines of all crontabs run the scheduler of the application
# in FOLDER; another application on the host may have a scheduler of its own
probe_crontab() {
    local digest count
    if digest=$(set -o pipefail; crontab -l -u "$1" 2>/dev/null | sha256sum); then
        printf 'crontab %s sha256:%s\n' "$1" "${digest%% *}"
    else
        printf 'crontab %s absent\n' "$1"
    fi
    count=$(grep -hv '^ *#' /var/spool/cron/crontabs/* /etc/cron.d/* /etc/crontab 2>/dev/null | grep -c -- "$2.*schedule:run")
    printf 'crontabs run the scheduler %s times\n' "$count"
}

# probe_user USER GROUP…: an account that can log in, and its supplementary groups
probe_user() {
    local user=$1 account group groups
    shift
    account=$(getent passwd "$user" | cut -d: -f6,7 || true)
    groups=" $(id -nG "$user" 2>/dev/null || true) "
    printf 'user %s %s\n' "$user" "${account:-absent}"
    for group; do
        if [[ $groups = *" $group "* ]]; then
            printf 'user %s in %s\n' "$user" "$group"
        else
            printf 'user %s not in %s\n' "$user" "$group"
        fi
    done
}

# probe_locked_account USER: what an account is (comment, home, shell), whether a password opens it, and its groups beside
# its own; a star is no password, and unlike an exclamation mark sshd does not take it for a closed account
probe_locked_account() {
    awk -F: -v user="$1" '
        FILENAME == "/etc/passwd" && $1 == user {account = $5 ":" $6 ":" $7}
        FILENAME == "/etc/shadow" && $1 == user {password = ($2 == "*" ? "none" : "set or closed")}
        FILENAME == "/etc/group" && ("," $4 ",") ~ ("," user ",") {groups = groups " " $1}
        END {
            print "account", user, (account == "" ? "absent" : account)
            print "account", user, "password", password, "groups" (groups == "" ? " none" : groups)
        }' /etc/passwd /etc/shadow /etc/group 2>/dev/null
}

# probe_login_key USER KEY: whether a public key (type and data, no comment) logs in as the user
probe_login_key() {
    if grep -qsF -- "$2" "$(getent passwd "$1" | cut -d: -f6)/.ssh/authorized_keys"; then
        printf 'login key of %s present\n' "$1"
    else
        printf 'login key of %s absent\n' "$1"
    fi
}

# login_files USER…: where the keys stand that log in as the users
login_files() {
    local user home
    for user; do
        home=$(getent passwd "$user" | cut -d: -f6)
        if [ -f "$home/.ssh/authorized_keys" ]; then printf '%s\n' "$home/.ssh/authorized_keys"; fi
    done
}

# probe_login_keys KEY USER…: as which users a public key logs in
probe_login_keys() {
    local key=$1 user found=''
    shift
    for user; do
        if grep -qsF -- "$key" "$(getent passwd "$user" | cut -d: -f6)/.ssh/authorized_keys"; then found+=" $user"; fi
    done
    printf 'key logs in as%s\n' "${found:- nobody}"
}

# probe_added_key OLD NEW USER…: whether a key logs in wherever another one does
probe_added_key() {
    local old=$1 new=$2 file
    shift 2
    for file in $(login_files "$@"); do
        if grep -qF -- "$old" "$file" && ! grep -qF -- "$new" "$file"; then printf 'new key not in %s\n' "$file"; return; fi
    done
    printf 'new key logs in where the old one does\n'
}

# probe_listening PORT: whether a TCP port is open on loopback only
probe_listening() {
    local port address addresses=''
    while read -r port address; do
        if [ "$port" = "$1" ]; then addresses+="$address "; fi
    done <<<"${KNOWN_PORTS-$(open_ports)}"
    case $addresses in
        '') printf 'port %s closed\n' "$1" ;;
        '127.0.0.1 ' | '127.0.0.1 [::1] ' | '[::1] ') printf 'port %s local only\n' "$1" ;;
        *) printf 'port %s open on %s\n' "$1" "${addresses% }" ;;
    esac
}

# probe_exposed PORT: whether another host gets at a TCP port; nobody listening is not this probe's business
probe_exposed() {
    local state
    state=$(probe_listening "$1")
    case $state in
        *' closed' | *' local only') printf 'port %s not exposed\n' "$1" ;;
        *) printf '%s\n' "$state" ;;
    esac
}

# probe_table FAMILY NAME: a table of nftables as the kernel has it, without what its counters counted
probe_table() {
    if ! nft -s list table "$1" "$2" 2>/dev/null | sed 's/^[[:space:]]*//; /^$/d' | grep .; then printf 'table %s %s absent\n' "$1" "$2"; fi
}

# probe_table_of FAMILY NAME USER: the same, with the user's name where the kernel has a number
probe_table_of() { probe_table "$1" "$2" | sed "s/skuid != $(id -u "$3") /skuid != \"$3\" /"; }

# probe_trusted CERTIFICATE FILE: whether the host trusts an authority, of which FILE is the copy that was taken in
probe_trusted() {
    local state='not trusted'
    if cmp -s "$1" "$2" && grep -qF "$(sed -n 2p "$1")" /etc/ssl/certs/ca-certificates.crt; then state=trusted; fi
    printf 'authority %s %s\n' "$1" "$state"
}

# probe_sshd: who gets in, as sshd reads all its files; and what a Match block says otherwise, for some users or addresses
probe_sshd() {
    awk '
        FILENAME == ARGV[1] {
            if ($1 ~ /^(passwordauthentication|kbdinteractiveauthentication|permitemptypasswords|permitrootlogin)$/) print "sshd", $1, $2
            next
        }
        FNR == 1 {block = ""}
        {sub(/^[ \t]+/, ""); sub(/[ \t]*=[ \t]*/, " "); gsub(/"/, ""); keyword = tolower($1)}
        keyword == "match" {block = $0}
        block != "" && tolower($2) == "yes" && keyword ~ /^((password|kbdinteractive|challengeresponse)authentication|permitemptypasswords|permitrootlogin)$/ {
            print "sshd exception", FILENAME, block ":", $1, $2
        }' <(/usr/sbin/sshd -T 2>/dev/null) /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf 2>/dev/null | LC_ALL=C sort
}

# probe_apt KEY…: what apt makes of all its configuration
probe_apt() {
    local key
    for key; do printf 'apt %s\n' "$(apt-config dump "$key" 2>/dev/null | grep . || echo "$key unset")"; done
}

# probe_sandbox SERVICE: what the kernel keeps from the service's main process, as it runs
probe_sandbox() {
    local process
    process=/proc/$(systemctl show -p MainPID --value "$1" 2>/dev/null)
    printf 'sandbox %s no-new-privileges=%s read-only%s\n' "$1" \
        "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "$process/status" 2>/dev/null)" \
        "$(awk '$5 ~ "^/(etc|home|usr)$" && $6 ~ /^ro(,|$)/ {print " " $5}' "$process/mountinfo" 2>/dev/null | LC_ALL=C sort -u | tr -d '\n')"
}

# ask_redis HOST PORT WORD…: what Redis answers, logged in where there is a file that says how; on standard input, as an
# argument could be read by every user of this host
ask_redis() {
    local host=$1 port=$2
    shift 2
    if [ -s /etc/itqan/redis.login ]; then
        printf '%s\n' "$(</etc/itqan/redis.login)" 'echo itqan' "$*" | redis-cli -h "$host" -p "$port" 2>/dev/null | sed '1,/^itqan$/d'
    else
        printf '%s\n' "$*" | redis-cli -h "$host" -p "$port" 2>/dev/null
    fi
}

# probe_redis HOST PORT [open]: whether Redis answers to whoever knows its password, or to everybody
probe_redis() {
    local answer
    if [ "${3-}" = open ]; then
        answer=$(redis-cli -h "$1" -p "$2" ping 2>/dev/null)
    else
        answer=$(ask_redis "$1" "$2" ping)
    fi
    printf 'redis %s:%s %s\n' "$1" "$2" "${answer:-silent}"
}

# probe_redis_password HOST PORT: how many passwords open Redis, and whether it includes the stack's file
probe_redis_password() {
    local known
    known=$(ask_redis "$1" "$2" acl getuser default)
    if [[ $known = *nopass* ]]; then
        printf 'redis passwords none\n'
    else
        printf 'redis passwords %s\n' "$(grep -cE '^[0-9a-f]{64}$' <<<"$known")"
    fi
    printf 'file /etc/redis/redis.conf %s\n' "$(grep -x 'include /etc/redis/itqan.conf' /etc/redis/redis.conf 2>/dev/null || echo 'without include')"
}

# application_processes USER ROOT: `PID START FOLDER ARGUMENTS` of the user's processes that work in the application's folder, or in
# that of one of its releases; START in microseconds, blanks in FOLDER as %20. As the user: where root lacks CAP_SYS_PTRACE, as in a
# container, it may not see where another user's process is.
application_processes() {
    # shellcheck disable=SC2016 # the inner shell's own words
    setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups bash -c "$(declare -f read_ticks)"'
        now=${EPOCHREALTIME//[!0-9]/} ticks=0
        read_ticks "$BASHPID"
        own=$ticks
        find /proc/[0-9]*/cwd -maxdepth 0 -user "$1" \( -lname "$2" -o -lname "$2 (deleted)" -o -lname "$2/*" -o -lname "$3/*" \) \
            -printf "%p %l\n" 2>/dev/null | while read -r path folder; do
            pid=${path//[!0-9]/}
            mapfile -d "" -t words 2>/dev/null <"/proc/$pid/cmdline" || continue
            read_ticks "$pid"
            printf "%s %s %s %s\n" "$pid" $((now - (own - ticks) * 10000)) "${folder// /%20}" "${words[*]}"
        done' _ "$1" "$2" "$(folders_of "$2")" 2>/dev/null
}
# folders_of ROOT: where the releases of the strategy `atomic` are
folders_of() { printf '%s/.%s\n' "${1%/*}" "${1##*/}"; }
# Those that Supervisor has run for long, by their arguments.
LONG_LIVED='artisan (queue:work|queue:listen|horizon|reverb:start|schedule:work|pulse:work|octane:start)'

# probe_processes USER ROOT: processes of the application that may have read another configuration than the cached one
probe_processes() {
    local changed now pid age args started old=0
    changed=$(stat -c %Y "$2/bootstrap/cache/config.php" 2>/dev/null || echo 0)
    printf -v now '%(%s)T' -1
    # OPcache sees a changed file after two seconds (opcache.revalidate_freq)
    while read -r age args; do
        if ((now - age <= changed + 2)) && [[ $args = 'php-fpm: pool '* ]]; then ((old += 1)); fi
    done < <(ps -eo etimes=,args=)
    while read -r _ started _ args; do
        if [[ $args = *artisan* ]] && ((started / 1000000 <= changed + 2)); then ((old += 1)); fi
    done < <(application_processes "$1" "$2")
    printf 'processes with an older configuration %s\n' "${old/#0/none}"
}

# probe_workers USER ROOT: processes with the code of an earlier release: those that run for long and began before the release or
# work in another folder than it, unless they were told to end after their job (see restart_workers); and whatever works in a folder
# that is deleted
probe_workers() {
    local released running pid started folder args found=''
    released=$(changed_at "$2/.git/released") running=$(readlink -f "$2")
    while read -r pid started folder args; do
        if [[ $folder = *'%20(deleted)' ]]; then
            found+=$'\n'"process in a deleted folder: $args"
        elif ! [[ $args =~ $LONG_LIVED ]] || grep -qsxF "$pid" /run/itqan-told; then
            continue
        elif [ "${folder%%/public}" != "${running// /%20}" ] || ((started + 50000 < released)); then
            found+=$'\n'"process of an earlier release: $args"
        fi
    done < <(application_processes "$1" "$2")
    printf 'processes of an earlier release%s\n' "${found:- none}"
}

# probe_application USER ROOT: whether the application, with its own code, reads what an older key encrypted, and which name
# it tells Redis; settings of a trial process, nothing is written
probe_application() {
    # shellcheck disable=SC2016
    (cd "$2" 2>/dev/null && runuser -u "$1" -- php -r '
        $key = random_bytes(32);
        $trial = ["APP_PREVIOUS_KEYS" => "base64:" . base64_encode($key), "REDIS_USERNAME" => "default",
            "APP_CONFIG_CACHE" => "/nonexistent/config.php"];
        foreach ($trial as $name => $value) $_SERVER[$name] = $_ENV[$name] = $value;
        require "vendor/autoload.php";
        $app = require "bootstrap/app.php";
        $app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
        $old = new Illuminate\Encryption\Encrypter($key, config("app.cipher"));
        try { $read = app("encrypter")->decrypt($old->encrypt("kept")); } catch (Throwable) { $read = ""; }
        echo "previous keys ", $read === "kept" ? "read" : "ignored", "\n";
        echo "redis name ", config("database.redis.default.username") === "default" ? "told" : "ignored", "\n";
    ' 2>/dev/null) || printf 'application does not start\n'
}

# probe_unknown DIRECTORY GLOB NAME…: entries that match and are not named
probe_unknown() {
    local folder=$1 glob=$2 path name unknown=''
    shift 2
    for path in "$folder"/$glob; do
        name=$(basename "$path")
        if { [ -e "$path" ] || [ -L "$path" ]; } && [[ " $* " != *" $name "* ]]; then unknown+=" $name"; fi
    done
    printf 'unknown %s%s\n' "$folder" "${unknown:- none}"
}

# probe_host ID VERSION MEMORY DISK: operating system, and whether memory and disk (in 10^9 bytes) are enough;
# a tenth less is: what a provider sells as 31 GB is a little less to the kernel
probe_host() {
    local ID=unknown VERSION_ID='' memory disk
    # shellcheck source=/dev/null
    . /etc/os-release
    printf 'system %s %s\n' "$ID" "$VERSION_ID"
    memory=$(memory_size)
    disk=$(df -B1 --output=size / | tail -n 1)
    printf 'memory %s\n' "$(enough "$memory" "$3")"
    printf 'disk %s\n' "$(enough "$disk" "$4")"
}

memory_size() {
    local size
    read -r _ size _ </proc/meminfo # its first line is MemTotal
    printf '%d\n' $((size * 1024))
}

enough() {
    local tenths=$(((${1:-0} + 50000000) / 100000000))
    if ((${1:-0} >= $2 * 900000000)); then echo enough; else printf '%d.%d GB of %d GB\n' $((tenths / 10)) $((tenths % 10)) "$2"; fi
}

# probe_chain LINEAGE: whether the system's store trusts a certificate's chain
probe_chain() {
    local folder=/etc/letsencrypt/live/$1
    if openssl verify -untrusted "$folder/chain.pem" "$folder/cert.pem" >/dev/null 2>&1; then
        printf 'chain %s trusted\n' "$1"
    else
        printf 'chain %s not trusted\n' "$1"
    fi
}

# probe_ref REPOSITORY BRANCH: the commit of a branch
probe_ref() {
    printf 'ref %s %s %s\n' "$1" "$2" "$(release_git "$1" rev-parse -q --verify "refs/heads/$2" 2>/dev/null || echo absent)"
}

# git_origin PATH: where a checkout comes from, without the token that somebody may have put into the URL
git_origin() {
    local url
    url=$(git config -f "$1/.git/config" remote.origin.url 2>/dev/null) || return
    if [[ $url =~ ^(https?|ssh)://[^/]*@ ]] && [[ $url != ssh://* || $url =~ ^ssh://[^/@]*:[^/@]*@ ]]; then
        url="${url%%://*}://(a token)@${url#*@}"
    fi
    printf '%s\n' "$url"
}

# probe_releases FILE: the log of releases as it stands there, with what logrotate has moved away
probe_releases() { cat "$1".{4..1} "$1" 2>/dev/null || true; }

# probe_data SCHEMA: whether a database has any table; one of which a dump was loaded only in part says so
probe_data() {
    if [ -e "/etc/itqan/loading-$1" ]; then
        printf 'data of %s loaded in part\n' "$1"
    elif [ -n "$(sql "SELECT 1 FROM information_schema.tables WHERE table_schema = '$1' LIMIT 1")" ]; then
        printf 'data of %s present\n' "$1"
    else
        printf 'data of %s none\n' "$1"
    fi
}

# probe_seeds: whether a new database waits for the application's seeds
probe_seeds() { if [ -e /etc/itqan/seeds-due ]; then printf 'seeds due\n'; else printf 'seeds none due\n'; fi; }

# probe_checkout PATH: a checkout's origin, and that modes do not count as changes in it
probe_checkout() {
    printf 'checkout %s origin %s\n' "$1" "$(git_origin "$1" || echo absent)"
    printf 'checkout %s fileMode %s\n' "$1" "$(git config -f "$1/.git/config" core.fileMode 2>/dev/null || echo true)"
}

# probe_git_settings PATH NAME…: settings of a checkout's own configuration, each with its values
probe_git_settings() {
    local root=$1 name value
    shift
    for name; do
        while IFS= read -r value; do printf 'checkout %s %s=%s\n' "$root" "$name" "$value"; done \
            < <(git config -f "$root/.git/config" --get-all "$name" 2>/dev/null || echo absent)
    done
}

# key_is_whole PATH: whether a private SSH key can be read, and the public one beside it is its own
key_is_whole() { [ -s "$1" ] && [ "$(ssh-keygen -y -P '' -f "$1" 2>/dev/null | cut -d' ' -f1,2)" = "$(cut -d' ' -f1,2 "$1.pub" 2>/dev/null)" ]; }

# probe_key PATH: owner and mode of a private SSH key, and whether it is one
probe_key() {
    if ! [ -e "$1" ]; then
        printf 'key %s absent\n' "$1"
    else
        printf 'key %s %s %s\n' "$1" "$(stat -c '%U:%G %a' "$1")" "$(if key_is_whole "$1"; then echo whole; else echo damaged; fi)"
    fi
}

# unlike_rendered ROOT PATH=DIGEST…: the paths whose file has none of the digests that are given for it
unlike_rendered() {
    local root=$1 pair
    shift
    (cd "$root" && for pair; do printf '%s  %s\n' "${pair#*=}" "${pair%%=*}"; done | sha256sum -c) 2>/dev/null \
        | awk -F ': ' '{right[$1] += $2 == "OK"} END {for (path in right) if (!right[path]) print path}' | LC_ALL=C sort
}

# tracked_of ROOT PATH…: those that git tracks
tracked_of() { release_git "$1" ls-files -- "${@:2}" 2>/dev/null; }

# probe_deployment ROOT PATH=DIGEST…: the files for whoever deploys by hand, but for those that are the repository's own
probe_deployment() {
    local unlike=() own wrong=''
    mapfile -t unlike < <(unlike_rendered "$@")
    if ((${#unlike[@]})); then
        own=$(tracked_of "$1" "${unlike[@]}")
        wrong=$(printf '%s\n' "${unlike[@]}" | { grep -vxF -- "${own:-none}" || true; } | paste -sd ' ')
    fi
    if ! [ -d "$1" ]; then
        printf 'deployment absent\n'
    elif [ -n "$wrong" ]; then
        printf 'deployment differs: %s\n' "$wrong"
    else
        printf 'deployment as rendered\n'
    fi
}

# probe_tracked_deployment ROOT PATH=DIGEST…: those of them that are the repository's own and other ones; a script that is
# no way to itqan-release takes no lock
probe_tracked_deployment() {
    local root=$1 unlike=() path
    mapfile -t unlike < <(unlike_rendered "$@")
    if ! ((${#unlike[@]})); then return; fi
    tracked_of "$root" "${unlike[@]}" | while IFS= read -r path; do
        if [[ $path = *.sh ]] && ! grep -qs itqan-release "$root/$path"; then printf 'unlocked %s\n' "$path"; else printf 'differs %s\n' "$path"; fi
    done
}

# probe_running ROOT LOG: the commit that is checked out, and the newest lines of the log of releases
probe_running() {
    printf 'running %s\n' "$(release_git "$1" rev-parse -q --verify HEAD 2>/dev/null)"
    tail -n 20 "$2" 2>/dev/null
}

# probe_layout ROOT SHARED…: by which strategy releases come: `atomic` where ROOT is a link, and all of them share SHARED
probe_layout() {
    local root=$1 path folders unfinished=''
    folders=$(folders_of "$1")
    shift
    if ! [[ $(readlink "$root") = ".${root##*/}"/* ]]; then
        printf 'layout in-place\n'
        return
    fi
    for path; do
        if [ "$(readlink "$root/$path")" != "$folders/shared/$path" ] || ! [ -d "$folders/shared/$path" ]; then unfinished=', unfinished'; fi
    done
    if (($#)) && [ "$(git config -f "$root/.git/config" core.sparseCheckout)" != true ]; then unfinished=', unfinished'; fi
    printf 'layout atomic%s\n' "$unfinished"
}

# Digests of what dependencies and assets are made from; kept beside what was made

# release_git FOLDER WORD…: git as the folder's owner, whom it trusts (safe.directory on the command line counts
# from git 2.38 on only); nothing is written, not even a refreshed index
release_git() {
    local ids
    read -r -a ids < <(stat -L -c '--reuid=%u --regid=%g' "$1" 2>/dev/null) || return
    GIT_OPTIONAL_LOCKS=0 HOME=/nonexistent setpriv "${ids[@]}" --clear-groups git -C "$@"
}
# each of FOLDER [COMMIT], the one that is checked out if none is given
dependencies_digest() { release_git "$1" ls-tree "${2-HEAD}" composer.json composer.lock composer.debian.json composer.debian.lock 2>/dev/null | sha256sum | cut -d' ' -f1; }
node_digest() { release_git "$1" ls-tree HEAD package-lock.json 2>/dev/null | sha256sum | cut -d' ' -f1; }
ASSETS=(package.json package-lock.json resources vite.config.js tailwind.config.js postcss.config.js)
assets_digest() { release_git "$1" ls-tree "${2-HEAD}" "${ASSETS[@]}" 2>/dev/null | sha256sum | cut -d' ' -f1; }

# vendor_state ROOT COMPOSER-FILE: whether what is installed is what the lock file names; where somebody else installed it,
# Composer's own list of it says so
vendor_state() {
    local root=$1 made=$1/vendor/.itqan-digest lock
    if [ -e "$root/.git/itqan-vendor" ]; then echo unfinished; return; fi
    if [ -e "$made" ]; then
        compare "$(cat "$made")" "$(dependencies_digest "$root")"
        return
    fi
    if [ -e "$root/$2" ]; then lock=${2%.json}.lock; else lock=composer.lock; fi
    # shellcheck disable=SC2016
    if php -r '
        [$lock, $installed] = array_map(fn ($file) => json_decode(@file_get_contents($file) ?: "null", true), array_slice($argv, 1));
        if (!isset($lock["packages"], $installed["packages"]) || ($installed["dev"] ?? true)) exit(1);
        $list = function ($packages) { $list = array_column($packages, "version", "name"); ksort($list); return $list; };
        exit($list($lock["packages"]) === $list($installed["packages"]) ? 0 : 1);
    ' "$root/$lock" "$root/vendor/composer/installed.json" 2>/dev/null; then echo current; else echo stale; fi
}

# build_state ROOT: whether the assets are built from what is checked out; where somebody else built them, as make sees it:
# nothing that they are made from is younger
build_state() {
    local root=$1 made=$1/public/build/.itqan-digest manifest=$1/public/build/manifest.json sources=() path
    if ! [ -e "$root/package.json" ]; then echo current; return; fi
    if [ -e "$root/.git/itqan-build" ]; then echo unfinished; return; fi
    if [ -e "$made" ] || ! [ -s "$manifest" ]; then
        compare "$(cat "$made" 2>/dev/null)" "$(assets_digest "$root")"
        return
    fi
    for path in "${ASSETS[@]}"; do if [ -e "$root/$path" ]; then sources+=("$root/$path"); fi; done
    if [ -z "$(find "${sources[@]}" -type f -newer "$manifest" -print -quit)" ]; then echo current; else echo stale; fi
}

# probe_release PATH COMPOSER-FILE: commit, local changes, what is installed, built and cached, maintenance mode
probe_release() {
    local root=$1 cache=$1/bootstrap/cache cached='' line commit=absent changes=0
    while IFS= read -r line; do
        case $line in
            '# branch.oid '[0-9a-f]*) commit=${line##* } ;;
            '#'*) ;;
            *) ((changes += 1)) ;;
        esac
    done < <(release_git "$root" status --porcelain=v2 --branch --no-ahead-behind --untracked-files=no 2>/dev/null)
    printf 'commit %s\n' "$commit"
    printf 'changes %s\n' "${changes/#0/none}"
    printf 'vendor %s\n' "$(vendor_state "$root" "$2")"
    printf 'build %s\n' "$(build_state "$root")"
    if [ -s "$cache/config.php" ]; then cached+=' config'; fi
    if compgen -G "$cache/routes-v*.php" >/dev/null; then cached+=' routes'; fi
    if compgen -G "$root/storage/framework/views/*.php" >/dev/null || compgen -G "$cache/views/*.php" >/dev/null; then cached+=' views'; fi
    printf 'caches%s\n' "${cached:- none}"
    if [ -e "$root/storage/framework/down" ]; then printf 'maintenance on\n'; else printf 'maintenance off\n'; fi
    if [ -e "$root/.git/itqan-undo" ] || [ -e "$(folders_of "$root")/undo" ]; then printf 'release not settled\n'; fi
}

compare() { if [ "$1" = "$2" ]; then echo current; else echo stale; fi; }

# probe_permissions ROOT OWNER MODE WRITABLE-OWNER WRITABLE-MODE WRITABLE…: paths that are not as in the table.
# Under the writable folders only folders count, and not those that the running application (the group's user) made;
# one that hands its group on to what is made in it (setgid, which chmod 775 leaves alone) is as in the table.
probe_permissions() {
    local root=$1 owner=$2 mode=$3 writable_owner=$4 writable_mode=$5 wrong path skip=()
    shift 5
    root=$(readlink -f "$root" || true) # a link, with the strategy atomic
    for path; do skip+=(-o -path "$root/$path"); done
    wrong=$(
        find "$root" \( -path "$root/node_modules" -o -path "$root/.git" -o -path "$root/.env" "${skip[@]}" \) -prune \
            -o -type l -o \( -not -user "${owner%:*}" -o -not -group "${owner#*:}" -o -not -perm "$mode" \) \
            -printf '%P %u:%g %m\n' 2>/dev/null
        for path; do
            find "$root/$path/" -type d -not \( -user "${writable_owner#*:}" -not -user "${writable_owner%:*}" \) \( -not -user "${writable_owner%:*}" -o -not -group "${writable_owner#*:}" \
                -o -not \( -perm "$writable_mode" -o -perm "2$writable_mode" \) \) -printf "$path/%P %u:%g %m\n" 2>/dev/null || printf '%s absent\n' "$path"
        done
    )
    if ! [ -d "$root" ]; then
        printf 'permissions absent\n'
    elif [ -z "$wrong" ]; then
        printf 'permissions as in the table\n'
    else
        printf 'permissions wrong on %d paths: %s\n' "$(wc -l <<<"$wrong")" "$(head -n 5 <<<"$wrong" | tr '\n' ';' | sed 's/;$//; s/;/; /g')"
    fi
}

# probe_plugin LINEAGE PLUGIN FILE NAME=KEY…: values of the credentials of one of certbot's DNS plugins: of the file that the
# lineage or another one is renewed with, else of FILE
probe_plugin() {
    local file pair plugin=$2 folder=/etc/letsencrypt/renewal
    file=$(sed -n "s/^dns_$2_credentials = //p" "$folder/$1.conf" "$folder"/*.conf 2>/dev/null | head -n 1)
    file=${file:-$3}
    shift 3
    for pair; do
        printf '%s=%s\n' "${pair#*=}" \
            "$(sed -nE "s/^[[:space:]]*dns_${plugin}_${pair%%=*}[[:space:]]*=[[:space:]]*[\"']?([^\"'[:space:]]*).*/\1/p" "$file" 2>/dev/null | tail -n 1)"
    done
}

# probe_authenticator LINEAGE: who changes the zone for a certificate, where it is one that the settings have a word for
probe_authenticator() {
    case $(sed -n 's/^authenticator = //p' "/etc/letsencrypt/renewal/$1.conf" 2>/dev/null) in
        dns-rfc2136) printf 'dns.provider=rfc2136\n' ;;
        dns-hostinger) printf 'dns.provider=hostinger\n' ;;
    esac
}

# git_ssh ROOT: how ssh would reach the server of a checkout's origin, as `ssh -G` tells it of the checkout's owner, ~
# being the owner's home; nothing for an origin that is reached in another way. A command in the place of ssh is not run.
git_ssh() {
    local url user home command=ssh
    user=$(stat -c %U "$1/.git" 2>/dev/null) || return
    home=$(getent passwd "$user" | cut -d: -f6)
    url=$(git config -f "$1/.git/config" remote.origin.url 2>/dev/null)
    case $url in
        ssh://*) url=ssh://$(cut -d/ -f3 <<<"$url") ;;
        *://* | /* | ./*) return ;;
        *:*) url=${url%%:*} ;;
        *) return ;;
    esac
    command=$(git config -f "$1/.git/config" core.sshCommand 2>/dev/null || git config -f "$home/.gitconfig" core.sshCommand 2>/dev/null || echo ssh)
    # shellcheck disable=SC2016 # the inner shell's own words
    if [[ $command = ssh || $command = 'ssh '* ]]; then
        HOME=$home runuser -u "$user" -- sh -c 'eval "$1 -G \"\$2\""' _ "$command" "$url" 2>/dev/null | sed "s, ~/, $home/,g"
    fi
}

# probe_git_key ROOT: the private key that fetches a checkout, in base64: the first that ssh would offer and that is there
probe_git_key() {
    local file
    while read -r file; do
        if [ -s "$file" ]; then
            base64 -w0 "$file"
            return
        fi
    done < <(git_ssh "$1" | sed -n 's/^identityfile //p')
}

# probe_git_hosts ROOT: what is known of the keys of a checkout's git server, as known_hosts has it
probe_git_hosts() {
    local how name port file
    how=$(git_ssh "$1")
    name=$(sed -n 's/^hostkeyalias //p' <<<"$how") port=$(sed -n 's/^port //p' <<<"$how")
    if [ -z "$name" ]; then
        name=$(sed -n 's/^hostname //p' <<<"$how")
        if [ "${port:-22}" != 22 ]; then name="[$name]:$port"; fi
    fi
    if [ -z "$name" ]; then return; fi
    sed -nE 's/^(user|global)knownhostsfile //p' <<<"$how" | tr ' ' '\n' | while read -r file; do
        ssh-keygen -F "$name" -f "$file" 2>/dev/null | grep -v '^#'
    done | LC_ALL=C sort -u
}

# probe_git_facts ROOT: where the checkout comes from, its commit, and its branch (its commit where it is on none)
probe_git_facts() {
    printf 'release.repository=%s\n' "$(git_origin "$1")"
    printf 'commit=%s\n' "$(release_git "$1" rev-parse -q --verify HEAD)"
    case $(probe_layout "$1") in *atomic*) printf 'release.strategy=atomic\n' ;; esac
    printf 'release.ref=%s\n' "$(release_git "$1" symbolic-ref -q --short HEAD || release_git "$1" rev-parse -q --verify HEAD)"
}

# probe_pool PROGRAM DIRECTIVE=KEY…: the pool as PHP-FPM reads its files
probe_pool() {
    local shown pair program=$1
    shift
    shown=$("$program" -tt 2>&1)
    for pair; do
        printf '%s=%s\n' "${pair#*=}" "$(sed -nE "s/^.*NOTICE:[[:space:]]+${pair%%=*} = //p" <<<"$shown" | tail -n 1)"
    done
}

# probe_limits PROGRAM DIRECTIVE=KEY…: limits as PHP reads its files
probe_limits() {
    local shown pair program=$1
    shift
    shown=$("$program" -i 2>/dev/null)
    for pair; do
        printf '%s=%s\n' "${pair#*=}" "$(awk -F ' => ' -v name="${pair%%=*}" '$1 == name {print $2; exit}' <<<"$shown")"
    done
}
