# How the state of the host is changed: idempotent, under `set -euo pipefail`, after probes.sh.

# keep_only DIRECTORY GLOB NAME…: set aside every entry that matches and is not named
keep_only() {
    local folder=$1 glob=$2 path name
    shift 2
    for path in "$folder"/$glob; do
        name=$(basename "$path")
        if [[ " $* " != *" $name "* ]]; then set_aside "$path"; fi
    done
}

# enable_now UNIT…: enabled at boot and running
enable_now() {
    systemctl daemon-reload
    systemctl unmask -q "$@"
    systemctl enable -q --now "$@"
}

# trust_authority CERTIFICATE FILE: the host trusts an authority that a service of it has made
trust_authority() {
    if ! wait_until 30 test -s "$1"; then refuse "$1 is not there: \`journalctl -u itqan-catcher\`"; fi
    install -o root -g root -m 644 "$1" "$2"
    renew_trust
}

# renew_trust: the bundle of trusted authorities anew; it has one temporary name, which two at once would take from each other
renew_trust() { flock /run/lock/itqan-ca-certificates.lock update-ca-certificates >&2; }

# as USER COMMAND…: with the user's own home and groups, and none of root's environment. By setpriv: runuser opens a session (PAM)
# for each command, which takes longer than most of them.
as() {
    local user=$1 group home
    shift
    know_accounts "$user"
    IFS=: read -r _ _ _ group _ home _ <<<"${ACCOUNTS[$user]}"
    env -i HOME="$home" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt setpriv --reuid="$user" --regid="$group" --init-groups -- "$@"
}
# know_accounts USER…: their lines of passwd, once; whoever calls `as` often does it first, since a subshell forgets
know_accounts() {
    local user
    for user; do
        if [ -z "${ACCOUNTS[$user]-}" ]; then ACCOUNTS[$user]=$(getent passwd "$user") || refuse "there is no user $user on this host"; fi
    done
}
declare -A ACCOUNTS=()

# reload_service NAME PATTERN FILE…: reload (or start) a service until a process is there that was not before, and that
# started after the files changed. The reload itself returns while the old processes still run or none does.
reload_service() {
    local before
    before=$({ pgrep -f "^$2" || true; } | tr '\n' ' ')
    systemctl reload-or-restart "$1"
    if ! wait_until 15 replaced "$2" "$before" || ! wait_until 15 loaded_now "$@"; then
        refuse "$1 does not run with its new configuration: see \`journalctl -u $1\`"
    fi
}
replaced() {
    local pid
    for pid in $(pgrep -f "^$1"); do
        if [[ " $2" != *" $pid "* ]]; then return 0; fi
    done
    return 1
}
loaded_now() { [ "$(probe_loaded "$@")" = "loaded $1 current" ]; }

# note_patience PROGRAM SERVICE FILE, before a file of PHP-FPM is replaced: whether the FPM that runs lets its requests end
# when it is told to reload. Only with process_control_timeout, and only if it has read the file that says so.
note_patience() {
    PATIENT=no
    if ! [ -e /run/itqan-fpm.conf ] && "$1" -tt 2>&1 | grep -q 'process_control_timeout = [1-9]' && [ "$(probe_reloaded "$2" "$3")" = "loaded $2 current" ]; then
        PATIENT=yes
    fi
}

# reload_fpm VERSION SERVICE PATTERN FILE…: where FPM would cut off its requests, a second one answers meanwhile, under the
# same path of the socket: a connection that was made already goes on with the socket that it was made to.
# The second one's configuration is there from its start to its end: probe_second_fpm sees that a run was killed in between,
# and the next one goes through all of it again.
reload_fpm() {
    local version=$1 socket=/run/php/php$1-fpm.sock own=/run/php/php$1-fpm.sock.itqan pid=/run/itqan-fpm.pid earlier second
    shift
    if ! systemctl is-active -q "$1"; then end_second_fpm; fi # FPM does not start where another one listens
    if [ "$PATIENT" = yes ] || ! systemctl is-active -q "$1" || ! [ -S "$socket" ]; then
        reload_service "$@"
        end_second_fpm
        return
    fi
    say "$1: a second FPM answers while it reloads"
    earlier=$(cat "$pid" 2>/dev/null || true) # of a run that was killed
    start_second_fpm "$version" "$pid"
    second=$(cat "$pid")
    if ! listens "$own"; then ln -f "$socket" "$own"; fi
    mv -f /run/php/itqan-fpm.sock "$socket"
    if [ -n "$earlier" ]; then
        end_fpm "$earlier"
        printf '%s' "$second" >"$pid" # an FPM that ends takes the file away, whoever's number is in it
    fi
    drain_fpm "$(systemctl show -p MainPID --value "$1")"
    reload_service "$@"
    end_second_fpm
}
# end_second_fpm, with the names of reload_fpm: what is left of one, of a run that was killed too: FPM's own socket is back
# under its path if it lives, then the second one ends
end_second_fpm() {
    if listens "$own"; then mv -f "$own" "$socket"; else rm -f "$own"; fi
    if [ -s "$pid" ]; then end_fpm "$(cat "$pid")"; fi
    rm -f "$pid" /run/itqan-fpm.conf /run/php/itqan-fpm.sock
}
# listens SOCKET: whether anybody does; what FPM says to a word of HTTP does not matter
listens() {
    local status=0
    if ! [ -S "$1" ]; then return 1; fi
    curl -s -m 2 -o /dev/null --unix-socket "$1" http://localhost/ || status=$?
    [ "$status" != 7 ]
}
start_second_fpm() {
    rm -f "$2" /run/php/itqan-fpm.sock # of a run that was killed: a socket that somebody listens at is refused
    printf '[global]\npid = %s\nerror_log = /var/log/php%s-fpm.log\nprocess_control_timeout = 30s\n' "$2" "$1" >/run/itqan-fpm.conf
    printf 'include = /etc/php/%s/fpm/pool.d/www.conf\n[www]\nlisten = /run/php/itqan-fpm.sock\n' "$1" >>/run/itqan-fpm.conf
    if ! "php-fpm$1" --daemonize --fpm-config /run/itqan-fpm.conf >/dev/null 2>&1; then refuse "a second PHP-FPM does not start: see /var/log/php$1-fpm.log"; fi
    if ! wait_until 15 test -S /run/php/itqan-fpm.sock || ! wait_until 15 test -s "$2"; then refuse "a second PHP-FPM does not start: see /var/log/php$1-fpm.log"; fi
}
# drain_fpm PID: each of its processes ends after its request; those that follow take what waited at the socket, and end too
drain_fpm() {
    local round children
    for round in 1 2; do
        children=$(pgrep -P "$1" | tr '\n' ' ' || true)
        # shellcheck disable=SC2086
        if [ -n "$children" ]; then
            kill -QUIT $children 2>/dev/null || true
            if ! wait_until 60 all_gone $children; then say "requests longer than a minute are cut off in round $round"; fi
        fi
    done
}
all_gone() {
    local pid
    for pid; do if kill -0 "$pid" 2>/dev/null; then return 1; fi; done
}
end_fpm() {
    if ! [[ $(cat "/proc/$1/comm" 2>/dev/null) = php-fpm* ]]; then return; fi
    drain_fpm "$1"
    kill -QUIT "$1" 2>/dev/null || true
    wait_until 60 all_gone "$1" || true
}

# preflight DIGEST CHECK=VALUE… <SECRET: refuses the host with everything that is wrong, or notes that it passed
preflight() {
    local digest=$1 problems
    shift
    problems=$(preflight_problems "$@")
    if [ -n "$problems" ]; then
        problems=$'\n'$problems
        refuse "this host cannot be what the settings describe; nothing was changed:${problems//$'\n'problem /$'\n'  - }"
    fi
    printf '# managed by itqan: the checks that this host passed\n%s\n' "$digest" | place /etc/itqan/preflight root:root 644
}

# ensure_login_key USER KEY: the key logs in as the user; whoever else does is left alone
ensure_login_key() {
    local folder file
    folder=$(getent passwd "$1" | cut -d: -f6)/.ssh
    file=$folder/authorized_keys
    install -d -o "$1" -g "$(id -gn "$1")" -m 700 "$folder"
    if [ "$(probe_login_key "$1" "$2")" != "login key of $1 present" ]; then
        { if [ -e "$file" ]; then cat "$file"; fi; printf '%s\n' "$2"; } | place "$file" "$1:$(id -gn "$1")" 600
    fi
    chown "$1:$(id -gn "$1")" "$file"
    chmod 600 "$file"
}

# ensure_user USER GROUP: an account with a home that logs in by key only
ensure_user() {
    if ! getent passwd "$1" >/dev/null; then useradd -m -s /bin/bash "$1"; fi
    usermod -s /bin/bash -d "/home/$1" -aG "$2" "$1"
}

# ensure_locked_account USER COMMENT HOME SHELL: an account that owns nothing and has no password; COMMENT says that it is ours
ensure_locked_account() {
    local user=$1 entry comment
    if ! entry=$(getent passwd "$user"); then
        useradd --system --no-create-home -c "$2" -d "$3" -s "$4" "$user"
    elif comment=$(cut -d: -f5 <<<"$entry") && [ "$comment" != "$2" ]; then
        refuse "account $user is not of this stack (its comment is \`$comment\`): remove or rename it, nothing was changed"
    fi
    usermod -d "$3" -s "$4" -p '*' -G '' "$user"
}

# ensure_directory PATH OWNER:GROUP MODE
ensure_directory() {
    mkdir -p "$1"
    chown "$2" "$1"
    chmod "$3" "$1"
}

# enable_site NAME TEST…: the link in sites-enabled; when the test then fails, what was there comes back
enable_site() {
    local name=$1 link=/etc/nginx/sites-enabled/$1 target=../sites-available/$1 old=''
    shift
    if [ "$(readlink "$link" 2>/dev/null)" = "$target" ]; then return; fi
    if [ -e "$link" ] || [ -L "$link" ]; then
        install -d -m 700 /var/backups/itqan
        old=/var/backups/itqan/$name.$(date +%Y%m%dT%H%M%S)
        mv -T "$link" "$old"
    fi
    ln -s "$target" "$link"
    if ! "$@" >&2; then
        rm -f "$link"
        if [ -n "$old" ]; then mv -T "$old" "$link"; fi
        refuse "$link: refused by \`$*\`; what was there is back"
    fi
}

# refuse_unknown_variables FILE NAME…: a .env that somebody else wrote is not replaced while it says more than ours
refuse_unknown_variables() {
    local file=$1 unknown
    shift
    if ! [ -e "$file" ] || grep -q '^# managed by itqan' "$file"; then return; fi
    unknown=$(sed -nE 's/^[[:space:]]*(export +)?([A-Za-z_][A-Za-z0-9_]*)=.*/\2/p' "$file" | sort -u | grep -vxF -f <(printf '%s\n' "$@") || true)
    if [ -n "$unknown" ]; then
        refuse "$file has variables that the settings do not name; put them into itqan:environment: ${unknown//$'\n'/ }"
    fi
}

# note_variables FILE TOOL, before a .env is replaced; cache_variables FILE TOOL, after: where the new one says the same in
# other words, the cached configuration and the processes that read it stay as they are, and so does the file's time
note_variables() {
    if ! [ -s "$1" ] || [ "$(probe_cached "$(dirname "$1")")" != 'environment cached' ]; then return; fi
    NOTED=$("$2" variables) NOTED_AT=$(stat -c %y "$1")
}
cache_variables() {
    if [ -n "${NOTED-}" ] && [ "$("$2" variables)" = "$NOTED" ]; then
        touch -d "$NOTED_AT" "$1"
    else
        "$2" cache
    fi
}

# ensure_charset SCHEMA CHARSET: only where it is another one; an ALTER would also reset the default collation
ensure_charset() {
    sql "CREATE DATABASE IF NOT EXISTS \`$1\` CHARACTER SET $2"
    if [ "$(probe_schema "$1" '')" != "database $1 $2" ]; then sql "ALTER DATABASE \`$1\` CHARACTER SET $2"; fi
}

# ensure_grants SCHEMA USER HOST…: everything in the schema and nothing outside; accounts that have it keep it throughout
ensure_grants() {
    local schema=$1 user=$2 host
    shift 2
    for host; do
        if probe_schema "$schema" "$user" "$host" | grep -qxF "account $user@$host USAGE $schema:ALL"; then continue; fi
        # in a GRANT an underscore stands for any character
        sql_root -e "REVOKE ALL PRIVILEGES, GRANT OPTION FROM '$user'@'$host'; \
GRANT ALL PRIVILEGES ON \`${schema//_/\\_}\`.* TO '$user'@'$host'" </dev/null
    done
}

# renew_processes USER ROOT PHP-VERSION PROGRAM…: no process of the application goes on with an older configuration than the cached
# one; requests and jobs that are under way come to their end
renew_processes() {
    local user=$1 root=$2 version=$3 service=php$3-fpm program
    shift 3
    if ! wait_until 15 old_enough "$root/bootstrap/cache/config.php"; then refuse "$root: its cached configuration is of the future"; fi
    note_patience "php-fpm$version" "$service" "/etc/php/$version/fpm/pool.d/www.conf"
    reload_fpm "$version" "$service" 'php-fpm: pool www' "$root/bootstrap/cache/config.php"
    # workers end by themselves, after the job they are at
    if wait_until 15 processes_renewed "$user" "$root"; then return; fi
    for program; do supervisorctl restart "$program:*" >&2; done
    if ! wait_until 60 processes_renewed "$user" "$root"; then refuse "$(probe_processes "$user" "$root")"; fi
}
old_enough() { (($(date +%s) > $(stat -c %Y "$1") + 3)); }
processes_renewed() { [ "$(probe_processes "$1" "$2")" = 'processes with an older configuration none' ]; }

# add_login_key OLD NEW USER…: where the old key logs in, the new one does too, under the same conditions
add_login_key() {
    local old=$1 new=$2 file
    shift 2
    for file in $(login_files "$@"); do
        if ! grep -qF -- "$old" "$file" || grep -qF -- "$new" "$file"; then continue; fi
        awk -v old="$old" -v new="$new" '{print} at = index($0, old) {print substr($0, 1, at - 1) new}' "$file" | rewrite_login_keys "$file"
    done
}
# remove_login_key KEY USER…: nobody logs in with it any more
remove_login_key() {
    local key=$1 file
    shift
    for file in $(login_files "$@"); do
        if grep -qF -- "$key" "$file"; then { grep -vF -- "$key" "$file" || true; } | rewrite_login_keys "$file"; fi
    done
}
rewrite_login_keys() {
    cat >"$1.itqan"
    chown "$(stat -c %U:%G "$1")" "$1.itqan"
    chmod "$(stat -c %a "$1")" "$1.itqan"
    sync "$1.itqan"
    mv -f "$1.itqan" "$1"
}

# load_dump SCHEMA CHARSET CLIENT-FILE SOURCE: a dump, as the application's own account, into a database that is empty; what
# a load left that did not get to its end is dropped first
load_dump() {
    local schema=$1 charset=$2 client=$3 source=$4 file=$4 name=${4%%\?*} marker=/etc/itqan/loading-$1
    if [[ $source = https://* ]]; then
        file=/var/tmp/itqan-${name##*/}
        if ! curl -fsSL --retry 2 -o "$file" "$source"; then refuse "$name: the dump cannot be fetched"; fi
    elif ! [ -s "$file" ]; then
        refuse "$file: this copy was made without its dump; take it down and bring it up again"
    fi
    if [ -e "$marker" ]; then sql "DROP DATABASE \`$schema\`; CREATE DATABASE \`$schema\` CHARACTER SET $charset"; fi
    : >"$marker"
    if ! unpacked "$file" | mysql --defaults-file="$client" "$schema"; then
        refuse "$name: the dump was not loaded to its end; the reason stands above, the next up begins anew"
    fi
    rm -f "$marker"
    if [[ $source = https://* ]]; then rm -f "$file"; fi
}
unpacked() {
    case $1 in
        *.gz) gzip -dc "$1" ;;
        *.zst) zstd -dcq "$1" ;;
        *) cat "$1" ;;
    esac
}

# start_program NAME PROCESSES PATTERN FILE: Supervisor runs the program as its file says
start_program() {
    local name=$1 processes=$2
    shift 2
    supervisorctl reread >&2
    supervisorctl update "$name" >&2
    if ! loaded_now "$name" "$@"; then supervisorctl restart "$name:*" >&2; fi
    supervisorctl start "$name:*" >/dev/null 2>&1 || true
    if ! wait_until 30 program_runs "$name" "$processes"; then
        refuse "$name: $(probe_program "$name"); its log: $(supervisorctl tail "$name:*" 2>&1 | tail -n 5)"
    fi
}
program_runs() { [ "$(probe_program "$1")" = "program $1 RUNNING $2" ]; }

# keep_one_scheduler USER FOLDER: lines that run the scheduler of the application in FOLDER leave every crontab but
# USER's; a copy of each is kept
keep_one_scheduler() {
    local file user
    for file in /var/spool/cron/crontabs/* /etc/cron.d/* /etc/crontab; do
        user=$(basename "$file")
        if ! [ -f "$file" ] || ! grep -v '^ *#' "$file" | grep -q -- "$2.*schedule:run"; then continue; fi
        case $(dirname "$file") in
            /var/spool/cron/crontabs)
                if [ "$user" = "$1" ]; then continue; fi
                keep_copy "$file"
                sed "\\|$2.*schedule:run|d" "$file" | place "$file" "$(stat -c %U:%G "$file")" "$(stat -c %a "$file")"
                ;;
            *)
                keep_copy "$file"
                sed "\\|$2.*schedule:run|s/^/# itqan: /" "$file" | place "$file" "$(stat -c %U:%G "$file")" "$(stat -c %a "$file")"
                ;;
        esac
    done
}

# install_crontab USER: standard input becomes the crontab; an empty one removes it
install_crontab() {
    local content
    content=$(cat)
    if [ -f "/var/spool/cron/crontabs/$1" ] && ! grep -q 'managed by itqan' "/var/spool/cron/crontabs/$1"; then
        keep_copy "/var/spool/cron/crontabs/$1"
    fi
    if [ -n "$content" ]; then printf '%s\n' "$content" | crontab -u "$1" -; else crontab -r -u "$1" 2>/dev/null || true; fi
}

# update_records SERVER: a dynamic update (nsupdate's own words on standard input)
update_records() {
    if ! wait_until 30 dig +time=1 +tries=1 "@$1" . SOA; then refuse "name server $1 does not answer"; fi
    nsupdate -v
}

# issue_certificate LINEAGE DOMAIN EMAIL DIRECTORY PROVIDER SECONDS ISSUER: the wildcard by DNS-01, PROVIDER being who
# keeps the records, SECONDS the time that dynamic updates need to spread. An authority counts what it issues and every
# challenge that fails: a certificate that is right already is not asked for again, only its renewal is set.
issue_certificate() {
    mend_lineage "$1"
    if certificate_is_right "$@"; then
        set_renewal "$1" "$5" "$6"
        return
    fi
    order_certificate "$@"
}
# order_certificate, with the same arguments: whatever is there already
order_certificate() {
    local log account
    if ! wait_until 30 fetch "$4"; then refuse "$4: the ACME authority does not answer: $(fetch "$4" 2>&1 >/dev/null | tail -n 1)"; fi
    # certbot asks the authority even when a hook fails, and failures are counted
    if [ "$5" != rfc2136 ]; then /usr/local/sbin/itqan-dns check || refuse "$2: no certificate is asked for before that is settled"; fi
    log=$(mktemp)
    if request_certificate "$@" 3>&2 >"$log" 2>&1; then rm -f "$log"; return; fi
    if grep -qE 'accountDoesNotExist|Account https://.* not found' "$log"; then
        # an authority that lost its memory (Pebble after a restart): our account there is worth nothing
        account=/etc/letsencrypt/accounts/$(sed -E 's|https://([^/]+).*|\1|' <<<"$4")
        set_aside "$account"
        if request_certificate "$@" 3>&2 >"$log" 2>&1; then rm -f "$log"; return; fi
    fi
    tail -n 20 "$log" >&2
    # a hook's own reason last, where it is read first
    grep -o 'itqan-dns: .*' "$log" | sort -u >&2 || true
    rm -f "$log"
    refuse "certbot got no certificate for $2; its words stand above, the old one (if any) stays"
}
# mend_lineage LINEAGE: what a certbot that was killed left half made stops the next one, or nginx: links to two certificates
# or to none, files under a name that it knows nothing of. The newest whole certificate in the archive is linked again, so that
# nginx goes on; where there is none, all of it goes aside.
mend_lineage() {
    local live=/etc/letsencrypt/live/$1 archive=/etc/letsencrypt/archive/$1 conf=/etc/letsencrypt/renewal/$1.conf item number
    if ! [ -e "$live" ] && ! [ -e "$archive" ] && ! [ -e "$conf" ]; then return; fi
    if [ "$(probe_links "$1")" = whole ] && grep -qs '^fullchain = ' "$conf"; then return; fi
    if [ "$(probe_links "$1")" != whole ]; then
        number=$(newest_whole "$archive")
        if [ -z "$number" ]; then
            set_aside "$conf" "$live" "$archive"
            return
        fi
        mkdir -p "$live"
        for item in cert privkey chain fullchain; do
            ln -sfn "../../archive/$1/$item$number.pem" "$live/.$item.itqan-new"
            mv -fT "$live/.$item.itqan-new" "$live/$item.pem"
        done
        rm -f "$live"/previous_*.pem
    fi
    if ! grep -qs '^fullchain = ' "$conf"; then
        {
            printf 'archive_dir = %s\n' "$archive"
            for item in cert privkey chain fullchain; do printf '%s = %s/%s.pem\n' "$item" "$live" "$item"; done
            printf '[renewalparams]\n'
        } | place "$conf" root:root 644
    fi
}
# newest_whole ARCHIVE: the number of the newest certificate whose four files are there and whose key is its own
newest_whole() {
    local number
    while read -r number; do
        if openssl x509 -noout -in "$1/fullchain$number.pem" 2>/dev/null && openssl x509 -noout -in "$1/chain$number.pem" 2>/dev/null \
            && [ "$(openssl x509 -noout -pubkey -in "$1/cert$number.pem" 2>/dev/null)" = "$(openssl pkey -pubout -in "$1/privkey$number.pem" 2>/dev/null)" ]; then
            printf '%s\n' "$number"
            return
        fi
    done < <(find "$1" -name 'cert*.pem' -printf '%f\n' 2>/dev/null | grep -oE '[0-9]+' | sort -rn)
}
certificate_is_right() {
    local right="certificate $1 DNS:*.$2 DNS:$2"$'\n'"certificate $1 lasts"
    if [ -n "$7" ]; then right+=$'\n'"certificate $1 of $7"; fi
    [ "$(probe_lineage "$1" ${7:+issuer})" = "$right" ] && grep -qsxF "server = $4" "/etc/letsencrypt/renewal/$1.conf"
}
request_certificate() {
    local words pid='' status=0
    mapfile -t words < <(challenge_words "$5" "$6")
    if [ "$5" = manual ]; then
        # certbot shows a hook's words when the hook has ended; who enters the record needs them before
        install -d -m 700 /run/itqan
        : >/run/itqan/challenges
        tail --pid=$$ -n +1 -f /run/itqan/challenges >&3 2>/dev/null &
        pid=$!
    fi
    certbot certonly -n --agree-tos -m "$3" --server "$4" --cert-name "$1" -d "$2" -d "*.$2" --force-renewal \
        --renew-with-new-domains "${words[@]}" </dev/null || status=$?
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    return "$status"
}

# challenge_words PROVIDER SECONDS: how certbot answers a DNS-01 challenge, a word a line
challenge_words() {
    if [ "$1" = rfc2136 ]; then
        printf '%s\n' --dns-rfc2136 --dns-rfc2136-credentials /etc/letsencrypt/rfc2136.ini --dns-rfc2136-propagation-seconds "$2"
    else
        printf '%s\n' --manual --preferred-challenges dns \
            --manual-auth-hook '/usr/local/sbin/itqan-dns present' --manual-cleanup-hook '/usr/local/sbin/itqan-dns withdraw'
    fi
}

# set_renewal LINEAGE PROVIDER SECONDS: how certbot answers the challenge from the next renewal on, in its own file
# (`certbot reconfigure` is not in 1.21, and asks Let's Encrypt for a try)
set_renewal() {
    local conf=/etc/letsencrypt/renewal/$1.conf lines
    if [ "$2" = rfc2136 ]; then
        lines="authenticator = dns-rfc2136\ndns_rfc2136_credentials = /etc/letsencrypt/rfc2136.ini\ndns_rfc2136_propagation_seconds = $3"
    else
        lines='authenticator = manual\npref_challs = dns-01,'
        lines+='\nmanual_auth_hook = /usr/local/sbin/itqan-dns present\nmanual_cleanup_hook = /usr/local/sbin/itqan-dns withdraw'
    fi
    sed -E -e '/^(authenticator|pref_challs|manual_[a-z]+_hook|dns_rfc2136_[a-z_]+) =/d' -e "s|^\\[renewalparams\\]\$|&\n$lines|" "$conf" \
        | place "$conf" "$(stat -c %U:%G "$conf")" "$(stat -c %a "$conf")"
}

# serve_certificate NAME LINEAGE: nginx shows the lineage's certificate; a reload returns before it does
serve_certificate() {
    nginx -t -q
    systemctl reload-or-restart nginx
    if ! wait_until 15 served_now "$@"; then
        refuse "port 443 shows for $1: $(probe_served "$@"); does another site or server answer for it? see \`nginx -T\`"
    fi
}
served_now() { [ "$(probe_served "$@")" = "served $1 the certificate of $2" ]; }

# refuse_chain LINEAGE
refuse_chain() { refuse "the chain of $1 is not trusted by the system's store: $(openssl verify "/etc/letsencrypt/live/$1/fullchain.pem" 2>&1 | tail -n 1)"; }

# print_root LINEAGE: the root that signed the chain, from the system's store
print_root() {
    local chain=/etc/letsencrypt/live/$1/chain.pem hash root
    hash=$(openssl crl2pkcs7 -nocrl -certfile "$chain" | openssl pkcs7 -print_certs | awk '/BEGIN/ {block = ""} {block = block $0 "\n"} END {printf "%s", block}' \
        | openssl x509 -noout -issuer_hash)
    for root in /etc/ssl/certs/"$hash".*; do
        if openssl verify -CAfile "$root" -untrusted "$chain" "/etc/letsencrypt/live/$1/cert.pem" >/dev/null 2>&1; then
            openssl x509 -in "$root"
            return
        fi
    done
}

# redis_answers HOST PORT
redis_answers() { [ "$(ask_redis "$1" "$2" ping)" = PONG ]; }

# require_redis_password HOST PORT FILE <WORDS-AND-CONTENT: the passwords that open Redis, a quoted word a line, then the content
# of FILE, which redis.conf includes and which makes the first one last. It takes effect at once, for connections that come.
require_redis_password() {
    local host=$1 port=$2 file=$3 line words=() content=''
    while IFS= read -r line; do
        if [[ $line = \"* ]]; then words+=("$line"); else content+=$line$'\n'; fi
    done
    printf '%s' "$content" | place "$file" redis:redis 640
    if ! grep -qx "include $file" /etc/redis/redis.conf; then
        keep_copy /etc/redis/redis.conf
        { cat /etc/redis/redis.conf; printf 'include %s\n' "$file"; } | rewrite_redis_conf
    fi
    if ((${#words[@]} > 1)); then
        line="acl setuser default ${words[*]/#\"/\">}"
    else
        line="config set requirepass ${words[0]}"
    fi
    if [ "$(ask_redis "$host" "$port" "$line")" != OK ]; then
        say 'Redis knows another password than this stack: it is started anew with that of its file'
        systemctl restart redis-server
        if ! wait_until 10 redis_answers "$host" "$port"; then refuse "Redis does not let this stack in: see \`journalctl -u redis-server\`"; fi
    fi
}
rewrite_redis_conf() {
    local file=/etc/redis/redis.conf
    place "$file" "$(stat -c '%U:%G' "$file")" "$(stat -c '%a' "$file")"
}

# open_redis HOST PORT FILE: nobody is asked for a password, where it was this stack's: FILE had it
open_redis() {
    if ! wait_until 10 redis_speaks "$1" "$2"; then refuse "Redis does not answer: see \`journalctl -u redis-server\`"; fi
    if redis_is_open "$1" "$2"; then return; fi
    if ! [ -e "$3" ]; then refuse 'Redis asks for a password that the settings do not have; it belongs into itqan:redisPassword'; fi
    grep -vx "include $3" /etc/redis/redis.conf | rewrite_redis_conf
    rm -f "$3"
    if [ "$(ask_redis "$1" "$2" config set requirepass '""')" != OK ]; then systemctl restart redis-server; fi
    if ! wait_until 10 redis_is_open "$1" "$2"; then refuse "Redis still asks for a password: see /etc/redis/redis.conf"; fi
}
redis_speaks() { redis-cli -h "$1" -p "$2" ping | grep -qE '^(PONG|NOAUTH)'; }
redis_is_open() { [ "$(redis-cli -h "$1" -p "$2" ping)" = PONG ]; }

# place_deployment ROOT PATH OWNER:GROUP MODE <CONTENT: a file for whoever deploys by hand, out of sight of `git status`; one
# that the repository tracks is its own: to write over it would be a local change
place_deployment() {
    local root=$1 path=$2 owner=$3 mode=$4 folder exclude=$1/.git/info/exclude
    if [ -n "$(tracked_of "$root" "$path")" ]; then
        cat >/dev/null
        return
    fi
    for folder in deployment "$(dirname "$path")"; do
        if ! [ -d "$root/$folder" ]; then ensure_directory "$root/$folder" "$owner" "$mode"; fi
    done
    if ! grep -qsxF "/$path" "$exclude"; then
        mkdir -p "$root/.git/info"
        printf '/%s\n' "$path" >>"$exclude"
        chown --reference="$root/.git/config" "$root/.git/info" "$exclude"
    fi
    place "$root/$path" "$owner" "$mode"
}

# accept_rotation FILE: logrotate reads it; what it would do is no news
accept_rotation() {
    local words
    if words=$(logrotate --debug "$1" 2>&1); then return; fi
    say "$(grep -i error <<<"$words" || printf '%s' "$words")"
    return 1
}

# reload_timer UNIT: systemd starts what it is for when its files say
reload_timer() {
    enable_now "$1"
    systemctl restart "$1"
}
