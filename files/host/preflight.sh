# What must be so before a host is changed for the first time. Looks only, and needs no more than a bare Debian or
# Ubuntu has: bash, coreutils, awk, apt. So DNS is spoken here by hand: dig and nsupdate come with the packages.

# probe_preflight DIGEST: whether the host passed with these very settings
probe_preflight() {
    if grep -qxF -- "$1" /etc/itqan/preflight 2>/dev/null; then printf 'preflight passed\n'; else printf 'preflight due\n'; fi
}

# preflight_problems CHECK=VALUE… <SECRET: one line for each thing that is wrong, none when all is well
preflight_problems() {
    local check secret
    secret=$(cat)
    for check; do
        (set +e; "preflight_${check%%=*}" "${check#*=}") &
    done | LC_ALL=C sort
}
problem() { printf 'problem %s\n' "$*"; }

# preflight_system ID/VERSION
preflight_system() {
    local ID=unknown VERSION_ID=''
    # shellcheck source=/dev/null
    . /etc/os-release
    if [ "$ID/$VERSION_ID" != "$1" ]; then problem "operating system: $ID $VERSION_ID; itqan:platform asks for ${1/\// }"; fi
}

# preflight_architecture NAME,…
preflight_architecture() {
    local found
    found=$(dpkg --print-architecture 2>/dev/null || uname -m)
    if [[ ,$1, != *,$found,* ]]; then problem "architecture: $found; itqan:platform has packages for ${1//,/, }"; fi
}

# preflight_memory GB, preflight_disk GB: a tenth less is accepted, as probe_host does
preflight_memory() { preflight_size memory "$(memory_size)" "$1" itqan:server.minimumMemoryGb; }
preflight_disk() { preflight_size disk "$(df -B1 --output=size / | tail -n 1)" "$1" itqan:server.minimumDiskGb; }
preflight_free() { preflight_size 'free space on /' "$(df -B1 --output=avail / | tail -n 1)" "$1" 'the packages and a release'; }
preflight_size() {
    local size
    size=$(enough "$2" "$3")
    if [ "$size" != enough ]; then problem "$1: ${size% of *}; $4 asks for $3 GB"; fi
}

# preflight_clock SECONDS: what the other machine's clock says now; certificates and TSIG need clocks that agree
preflight_clock() {
    local ahead=$(($(date +%s) - $1))
    if ((ahead > 60)); then problem "clock: $ahead seconds ahead of this machine's; on the host: timedatectl set-ntp true"; fi
    if ((ahead < -60)); then problem "clock: $((-ahead)) seconds behind this machine's; on the host: timedatectl set-ntp true"; fi
}

# preflight_apt SOURCES: the host's own package sources answer
preflight_apt() {
    local index found=0
    while read -r index; do
        found=1
        preflight_index "$index" &
    done < <(apt-get update --print-uris 2>/dev/null | sed -n "s/^'\([^']*InRelease\)'.*/\1/p" | sort -u)
    if ((! found)); then problem 'apt: the host has no package source (/etc/apt/sources.list.d)'; fi
    wait
}

# preflight_index URL: an index of a package source, fetched as apt fetches it, proxies and all
preflight_index() {
    local folder words
    if [[ $1 = https:* ]] && ! [ -s /etc/ssl/certs/ca-certificates.crt ]; then
        preflight_url "$1" # no authorities yet: they come with the packages
        return
    fi
    folder=$(mktemp -d)
    if ! words=$(timeout 30 /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout=10 \
        -o Acquire::https::Timeout=10 download-file "$1" "$folder/index" 2>&1); then
        problem "package source: $1 cannot be fetched: $(sed -n 's/^E: Failed to fetch [^ ]* *//p' <<<"$words" | head -n 1 | tr -s ' ')"
    fi
    rm -rf "$folder"
}

# preflight_url URL: what answers over HTTPS; where there is no curl yet, the port at least
preflight_url() {
    local words host=${1#https://}
    host=${host%%/*}
    if command -v curl >/dev/null && [ -s /etc/ssl/certs/ca-certificates.crt ]; then
        if ! words=$(curl -fsSL -m 15 -o /dev/null "$1" 2>&1); then problem "$1 does not answer: $(tail -n 1 <<<"$words")"; fi
    elif ! reaches "${host%:*}" "$(case $host in *:*) echo "${host##*:}" ;; *) echo 443 ;; esac)"; then
        problem "$1 does not answer: no connection"
    fi
}
# shellcheck disable=SC2016 # the inner shell's own variables
reaches() { timeout 10 bash -c 'exec 3<>"/dev/tcp/$1/$2"' _ "$1" "$2" 2>/dev/null; }

# preflight_zone DOMAIN,SERVER,KEY,NAME/TYPE…: the primary has the zone, the world finds it, the key may change the names
preflight_zone() {
    local domain server key names answer
    IFS=, read -r domain server key names <<<"$1"
    answer=$(dns_ask "$server" "$(dns_question "$domain" SOA)")
    if [ -z "$answer" ]; then
        problem "DNS: no answer from itqan:dns.server $server, TCP port 53"
        return
    fi
    if ((!(16#${answer:4:4} & 16#0400) || 16#${answer:12:4} == 0)); then
        problem "DNS: itqan:dns.server $server is not a primary of $domain"
        return
    fi
    if ! dns_delegated "$domain"; then not_delegated "$domain"; fi
    preflight_key "$domain" "$server" "$key" "$names"
}

# preflight_delegated ZONE,SERVER: SERVER, or without one a resolver of this host, knows name servers of the zone
preflight_delegated() {
    if ! dns_delegated "${1%,*}" "${1#*,}"; then not_delegated "${1%,*}"; fi
}
not_delegated() {
    problem "DNS: $1 is not delegated: the host's resolver finds no name server for it; enter them at the domain's registrar"
}

# preflight_token API,ZONE: the DNS client sees the zone with the token; the secret is its file of settings, then itself.
# A bare Debian may lack Python or authorities, which come with the packages: then the API has to be reached at least.
preflight_token() {
    local words program
    if ! command -v python3 >/dev/null || ! [ -s /etc/ssl/certs/ca-certificates.crt ]; then
        preflight_url "${1%,*}"
        return
    fi
    program="#!${secret#*$'\n#!'}"
    if ! words=$(timeout 30 python3 -I -c "$program" try <<<"${secret%%$'\n#!'*}" 2>&1); then
        words=$(tail -n 1 <<<"$words")
        problem "DNS: ${words#itqan-dns: }"
    fi
}

# dns_delegated DOMAIN [RESOLVER]: whether a resolver, this host's if none is named, knows name servers of the domain
dns_delegated() {
    local resolver answer
    while read -r resolver; do
        answer=$(dns_ask "$resolver" "$(dns_question "$1" NS)")
        if [ -n "$answer" ] && ((16#${answer:12:4} > 0)); then return 0; fi
    done <<<"${2:-$(awk '$1 == "nameserver" {print $2}' /etc/resolv.conf)}"
    return 1
}

# preflight_key DOMAIN SERVER KEY NAME/TYPE,…: a signed update (RFC 2136) that takes away records which are not there
preflight_key() {
    local answer name updates=''
    local -a changed
    IFS=, read -r -a changed <<<"$4"
    for name in "${changed[@]}"; do
        updates+=$(dns_nothing "${name%/*}" "${name#*/}")
    done
    printf -v updates '0000280000010000%04x0000%s00060001%s' "${#changed[@]}" "$(dns_name "$1")" "$updates"
    answer=$(dns_ask "$2" "$(dns_signed "$updates" "$3" "$secret")")
    case ${answer:7:1}${answer: -8:4} in
        0*) ;;
        90010) problem "DNS: $2 refuses the TSIG key $3: another secret (itqan:tsigSecret)" ;;
        90011) problem "DNS: $2 knows no TSIG key $3 (itqan:dns.keyName)" ;;
        5*) problem "DNS: $2 does not let the TSIG key $3 change all of: ${4//,/ }" ;;
        '') problem "DNS: $2 does not answer a signed update" ;;
        *) problem "DNS: $2 refuses a signed update with the key $3: rcode ${answer:7:1}, clock right?" ;;
    esac
}

# DNS messages as hexadecimal digits (RFC 1035, 2136, 8945)
declare -A DNS_TYPES=([A]=0001 [NS]=0002 [SOA]=0006 [TXT]=0010 [AAAA]=001c)

hex() { od -An -v -tx1 | tr -d ' \n'; }
unhex() { printf '%b' "$(escaped "$1")"; }
escaped() { printf %s "$1" | sed 's/../\\x&/g'; }

dns_name() {
    local label
    local -a labels
    IFS=. read -r -a labels <<<"$1"
    for label in "${labels[@]}"; do printf '%02x%s' "${#label}" "$(printf %s "$label" | hex)"; done
    printf 00
}

# dns_question NAME TYPE: with recursion desired
dns_question() { printf '000001000001000000000000%s%s0001' "$(dns_name "$1")" "${DNS_TYPES[$2]}"; }

# dns_nothing NAME TYPE: the deletion of one record that nobody has
dns_nothing() {
    local data
    case $2 in
        A) data=000400000000 ;;
        AAAA) data=001000000000000000000000000000000000 ;;
        *) data=000605$(printf itqan | hex) ;;
    esac
    printf '%s%s00fe00000000%s' "$(dns_name "$1")" "${DNS_TYPES[$2]}" "$data"
}

# dns_signed MESSAGE KEY SECRET: the message with its TSIG record
dns_signed() {
    local name algorithm fixed mac data
    name=$(dns_name "${2,,}") algorithm=$(dns_name hmac-sha512)
    fixed=$(printf '%s%012x012c' "$algorithm" "$(date +%s)")
    mac=$(hmac_sha512 "$3" "$1${name}00ff00000000${fixed}00000000")
    data=${fixed}0040${mac}${1:0:4}00000000
    printf '%s0001%s%s00fa00ff00000000%04x%s' "${1:0:20}" "${1:24}" "$name" $((${#data} / 2)) "$data"
}

# hmac_sha512 SECRET DATA: RFC 2104; the secret in base64, the data in hexadecimal digits
hmac_sha512() {
    local key inner='' outer='' at byte
    key=$(base64 -d <<<"$1" 2>/dev/null | hex)
    if ((${#key} > 256)); then key=$(unhex "$key" | sha512sum | cut -d' ' -f1); fi
    while ((${#key} < 256)); do key+='00'; done
    for ((at = 0; at < 256; at += 2)); do
        printf -v byte %02x $((16#${key:at:2} ^ 16#36))
        inner+=$byte
        printf -v byte %02x $((16#${key:at:2} ^ 16#5c))
        outer+=$byte
    done
    unhex "$outer$(unhex "$inner$2" | sha512sum | cut -d' ' -f1)" | sha512sum | cut -d' ' -f1
}

# dns_ask SERVER MESSAGE: the answer over TCP, nothing when there is none within 5 seconds
dns_ask() {
    # shellcheck disable=SC2016 # the inner shell's own variables
    timeout 5 bash -c '
        exec 3<>"/dev/tcp/$1/53" || exit
        printf "$2" >&3
        length=$(head -c 2 <&3 | od -An -tu1 | awk "{print \$1 * 256 + \$2}")
        head -c "${length:-0}" <&3 | od -An -v -tx1 | tr -d " \n"
    ' _ "$1" "$(escaped "$(printf '%04x%s' $((${#2} / 2)) "$2")")" 2>/dev/null
}
