# What stands on the host and belongs to no unit. Like probes.sh: only reads, one canonical line for each thing.

# look_logins: accounts with a shell, and whether a password opens them
look_logins() {
    awk -F: '
        FNR == NR {if ($2 ~ /^[$]/) password[$1] = " password"; next}
        $7 !~ /(nologin|false|[/]sync)$/ {print "login", $1, "uid", $3, ($7 == "" ? "/bin/sh" : $7) password[$1]}
    ' /etc/shadow /etc/passwd | LC_ALL=C sort
}

# look_keys: SSH keys that open an account
look_keys() {
    local user home file digest kind
    while IFS=: read -r user _ _ _ _ home _; do
        for file in "$home"/.ssh/authorized_keys "$home"/.ssh/authorized_keys2; do
            if [ -s "$file" ]; then ssh-keygen -l -f "$file" | while read -r _ digest kind; do printf 'key %s %s %s\n' "$user" "${kind##* }" "$digest"; done; fi
        done
    done </etc/passwd | LC_ALL=C sort -u
}

# look_sudo: rules of sudo (files with a dot or a tilde in their name are not read by it), and who is in its groups
look_sudo() {
    local file
    for file in /etc/sudoers /etc/sudoers.d/*; do
        case ${file##*/} in *.* | *~ | README) continue ;; esac
        if [ -f "$file" ]; then
            sed -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' "$file" | awk -v file="$file" '
                /^[ \t]*(#|@|$)/ {next}
                {$1 = $1; print "sudo", file, $0}'
        fi
    done
    awk -F: '$1 ~ /^(sudo|admin|wheel|docker|lxd|root|shadow|disk)$/ {
        count = split($4, members, ","); for (at = 1; at <= count; at++) print "group", $1, members[at]}' /etc/group
}

# look_crontabs: lines of the users' crontabs; what looks like a password in them is not printed
look_crontabs() {
    local file
    for file in /var/spool/cron/crontabs/*; do
        if [ -f "$file" ]; then
            awk -v user="${file##*/}" '!/^[ \t]*(#|$)/ {print "crontab", user, $0}' "$file" \
                | sed -E 's/((^|[ \t])-p|(pass|password|pwd|token|key|secret)[=: ]+)[^ \t]+/\1…/gI; s|(://[^/@ \t]*:)[^/@ \t]+@|\1…@|g'
        fi
    done
}

# look_files DIRECTORY…: files that are of no package, or not as the package brought them. dpkg keeps the digests of
# configuration files, ucf those of the files that it places (php.ini and others).
look_files() {
    {
        awk '
            /^Package: / {deinstalled = 0; listed = 0}
            /^Status: / {deinstalled = !/ installed$/}
            /^Conffiles:/ {listed = 1; next}
            /^[^ ]/ {listed = 0}
            listed && !deinstalled && NF == 2 {print "want", $2, $1}
        ' /var/lib/dpkg/status
        if [ -f /var/lib/ucf/hashfile ]; then awk '{print "ucf", $1, $2}' /var/lib/ucf/hashfile; fi
        find "$@" -type f -not -name '.itqan*' -print0 2>/dev/null | xargs -0r md5sum | sed 's/^/have /'
        find "$@" -type l -printf 'link %p %l\n' 2>/dev/null
    } | awk -v folders="$*" '
        function inside(path, at) {for (at in folder) if (index(path, folder[at] "/") == 1) return 1; return 0}
        BEGIN {split(folders, folder, " ")}
        $1 == "want" && inside($3) {want[$3] = $2}
        $1 == "ucf" && inside($3) {placed[$3] = $2}
        $1 == "have" {have[$3] = $2}
        $1 == "link" {print "link", $2, "->", $3}
        END {
            for (path in have) {
                wanted = path in want ? want[path] : placed[path]
                if (wanted == "") print "file", path, "of no package"
                else if (wanted != have[path]) print "file", path, "changed"
            }
            for (path in want) if (!(path in have)) print "file", path, "missing"
        }' | LC_ALL=C sort
}

# look_sockets: what listens, and which program; UDP sockets of the ephemeral range come and go with each query
look_sockets() {
    local first last
    read -r first last </proc/sys/net/ipv4/ip_local_port_range
    ss -Hlntup | awk -v first="$first" -v last="$last" '
        {port = $5; sub(/.*:/, "", port)}
        $1 == "udp" && port >= first && port <= last {next}
        {split($7, quoted, "\""); print "socket", $1, $5, (quoted[2] == "" ? "-" : quoted[2])}' | LC_ALL=C sort -u
}

# look_units: units and drop-ins of systemd that somebody wrote on this host
look_units() {
    find /etc/systemd/system -type f \( -name '*.service' -o -name '*.timer' -o -name '*.socket' -o -name '*.path' \
        -o -name '*.mount' -o -name '*.conf' \) -printf 'unit %p\n' 2>/dev/null | LC_ALL=C sort
}

# look_database: accounts with what they may do, and variables that somebody set while the server ran
look_database() {
    local by_hand="SELECT CONCAT('variable ', LOWER(variable_name), ' set by hand to ', global_value) FROM information_schema.system_variables \
WHERE global_value_origin = 'SQL'"
    if ! [ -x /usr/sbin/mariadbd ]; then
        by_hand="SELECT CONCAT('variable ', v.variable_name, ' set by hand to ', g.variable_value) FROM performance_schema.variables_info v \
JOIN performance_schema.global_variables g USING (variable_name) WHERE v.variable_source IN ('DYNAMIC', 'PERSISTED')"
    fi
    sql "SELECT CONCAT('account ', a.user, '@', a.host, IFNULL((SELECT IF(SUM(privilege_type IN ('SUPER', 'CREATE USER', 'FILE', \
'SHUTDOWN')) = 4, ' ALL on *', IF(MAX(privilege_type = 'USAGE') = 0, ' SOME on *', '')) FROM information_schema.user_privileges \
WHERE grantee = CONCAT('''', a.user, '''@''', a.host, '''')), ''), IFNULL((SELECT GROUP_CONCAT(DISTINCT CONCAT(' on ', table_schema) \
ORDER BY table_schema SEPARATOR '') FROM information_schema.schema_privileges WHERE grantee = CONCAT('''', a.user, '''@''', a.host, '''')), '')) \
FROM mysql.user a ORDER BY 1; $by_hand ORDER BY 1"
}

# look_packages: packages that somebody chose; those that others only need come with them
look_packages() {
    {
        awk '/^Package: / {name = $2} /^Auto-Installed: 1/ {print "auto", name}' /var/lib/apt/extended_states 2>/dev/null
        dpkg-query -W -f='${db:Status-Status} ${Package} ${Priority}\n'
    } | awk '
        $1 == "auto" {auto[$2] = 1}
        $1 == "installed" && !($2 in auto) && $3 !~ /^(required|important|standard)$/ {print "package", $2}' | LC_ALL=C sort -u
}

# look_enabled: units that systemd starts
look_enabled() { systemctl list-unit-files --no-legend --no-pager --state=enabled | awk '{print "enabled", $1}' | LC_ALL=C sort; }

# look_php VERSION: modules and settings of PHP, on the command line and in FPM
look_php() {
    local sapi program
    for sapi in cli fpm; do
        program=php$1
        if [ $sapi = fpm ]; then program=/usr/sbin/php-fpm$1; fi
        "$program" -m 2>/dev/null | awk -v sapi=$sapi '/^[A-Za-z]/ {print "module", sapi, $0}'
        "$program" -i 2>/dev/null | awk -v sapi=$sapi -F' => ' '
            /^Environment/ || /^PHP Variables/ {exit}
            NF == 3 && $1 != "Directive" {print "ini", sapi, $1, $3}'
    done | LC_ALL=C sort -u
}

# look_variables: the database server's variables that are not its built-in defaults
look_variables() {
    if [ -x /usr/sbin/mariadbd ]; then
        sql "SELECT CONCAT('variable ', LOWER(variable_name), ' ', global_value) FROM information_schema.system_variables \
WHERE global_value_origin = 'CONFIG' ORDER BY 1"
    else
        sql "SELECT CONCAT('variable ', v.variable_name, ' ', g.variable_value) FROM performance_schema.variables_info v \
JOIN performance_schema.global_variables g USING (variable_name) WHERE v.variable_source NOT IN ('COMPILED', 'DYNAMIC', 'PERSISTED') ORDER BY 1"
    fi
}

# look_redis HOST PORT: what Redis runs with, which may be other than its file says; a password is not printed
look_redis() {
    ask_redis "$1" "$2" config get '*' | paste - - | awk -F'\t' '
        $1 ~ /(pass|auth)/ {$2 = ($2 == "" ? "none" : "set")}
        {print "redis", $1, $2}' | LC_ALL=C sort
}

# look_sshd: what sshd runs with
look_sshd() { /usr/sbin/sshd -T 2>/dev/null | sed 's/^/sshd /' | LC_ALL=C sort; }

# look_system: what the whole host shares
look_system() {
    printf 'timezone %s\n' "$(readlink /etc/localtime | sed 's|.*/zoneinfo/||')"
    sed -n 's/^LANG=/locale /p' /etc/default/locale /etc/locale.conf 2>/dev/null | tr -d '"' | LC_ALL=C sort -u
}
