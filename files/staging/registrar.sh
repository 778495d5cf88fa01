#!/bin/bash
# The registrar of a copy: BIND, authoritative for ITQAN_DOMAIN and nothing else, and Pebble, an ACME authority
# that asks this BIND for its challenges.
#   registrar serve      both in the foreground; ends with an error as soon as one of them ends
#   registrar healthy    exit code 0 when both answer
#
# Environment: ITQAN_DOMAIN, the zone; ITQAN_ADDRESS, this container's IPv4 address.
# Files:       /etc/itqan/tsig.key              BIND's key clause, hmac-sha512, for the name `itqan.`
#              /etc/itqan/pebble/tls.{pem,key}  for Pebble's own endpoints: `registrar`, `localhost` and the address
#
# The zone and its journal survive a restart of the container. Pebble keeps everything in memory: after a restart
# its root and intermediate are new and it knows neither accounts nor orders, so whoever had a certificate fetches
# the root again (https://localhost:15000/roots/0), forgets the account and orders anew.
set -euo pipefail

CONFIGURATION=/run/itqan
KEY=/etc/itqan/tsig.key
TLS=/etc/itqan/pebble
DIRECTORY=https://localhost:14000/dir
ZONES=/var/lib/bind

say() { printf 'registrar: %s\n' "$*" >&2; }
refuse() { say "$*"; exit 1; }

check_inputs() {
    local file
    if ! [[ ${ITQAN_DOMAIN-} =~ ^[a-z0-9-]+(\.[a-z0-9-]+)+$ ]]; then
        refuse "ITQAN_DOMAIN is ${ITQAN_DOMAIN:-not set}: give the domain in lower case, as in itqan.test"
    fi
    if ! [[ ${ITQAN_ADDRESS-} =~ ^[0-9]+(\.[0-9]+){3}$ ]]; then
        refuse "ITQAN_ADDRESS is ${ITQAN_ADDRESS:-not set}: give this container's IPv4 address"
    fi
    for file in "$KEY" "$TLS/tls.pem" "$TLS/tls.key"; do
        if ! [ -s "$file" ]; then refuse "$file is missing: upload it into the container"; fi
    done
}

# The zone at birth: every other record comes by a signed update. A zone that is there is left alone, for its
# journal counts on it. The name server's name is that of the container in its network.
write_zone() {
    local file="$ZONES/$ITQAN_DOMAIN.zone"
    if [ -s "$file" ]; then return; fi
    cat >"$file.new" <<END
\$TTL 60
@ IN SOA registrar. hostmaster.$ITQAN_DOMAIN. ( 1 3600 600 86400 60 )
@ IN NS registrar.
END
    chown bind:bind "$file.new"
    mv "$file.new" "$file"
}

write_bind() {
    # named reads it after it has given up root's rights
    install -o root -g bind -m 640 "$KEY" "$CONFIGURATION/tsig.key"
    cat >"$CONFIGURATION/named.conf" <<END
include "$CONFIGURATION/tsig.key";
controls { };
options {
    directory "/var/cache/bind";
    listen-on { $ITQAN_ADDRESS; 127.0.0.1; };
    listen-on-v6 { none; };
    recursion no;
    allow-transfer { none; };
    notify no;
    dnssec-validation no;
    empty-zones-enable no;
    pid-file none;
    version none;
};
zone "$ITQAN_DOMAIN" {
    type primary;
    file "$ZONES/$ITQAN_DOMAIN.zone";
    update-policy { grant itqan. zonesub ANY; };
};
END
    if ! named-checkconf "$CONFIGURATION/named.conf" >&2; then refuse "BIND refuses its configuration: its words stand above"; fi
}

# 7776000 s are the 90 days of Let's Encrypt; Pebble's own 5 years would leave nothing to renew.
write_pebble() {
    cat >"$CONFIGURATION/pebble.json" <<END
{
  "pebble": {
    "listenAddress": ":14000",
    "managementListenAddress": ":15000",
    "certificate": "$TLS/tls.pem",
    "privateKey": "$TLS/tls.key",
    "httpPort": 80,
    "tlsPort": 443,
    "ocspResponderURL": "",
    "externalAccountBindingRequired": false,
    "certificateValidityPeriod": 7776000
  }
}
END
}

stop() {
    trap - TERM INT
    kill "$BIND" "$PEBBLE" 2>/dev/null || true # one of them may have ended by itself
    wait "$BIND" "$PEBBLE" 2>/dev/null || true # 143 is what a stopped process answers
}

serve() {
    local ended=BIND
    check_inputs
    install -d -o root -g bind -m 750 "$CONFIGURATION"
    install -d -o bind -g bind -m 755 /run/named "$ZONES"
    write_zone
    write_bind
    write_pebble
    named -g -u bind -c "$CONFIGURATION/named.conf" &
    BIND=$!
    # no chance in it: no sleep before a challenge, no good nonce refused, no challenge of an earlier order reused
    PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0 \
        pebble -config "$CONFIGURATION/pebble.json" -dnsserver "$ITQAN_ADDRESS:53" &
    PEBBLE=$!
    trap 'stop; exit 0' TERM INT
    wait -n "$BIND" "$PEBBLE" || true # its end is the failure, whatever its exit code
    if kill -0 "$BIND" 2>/dev/null; then ended=Pebble; fi
    stop
    refuse "$ended has ended: its words stand above"
}

healthy() {
    dig +time=2 +tries=1 +short "@$ITQAN_ADDRESS" "$ITQAN_DOMAIN" SOA | grep -q .
    curl -sf --max-time 2 --cacert "$TLS/tls.pem" -o /dev/null "$DIRECTORY"
}

case ${1-} in
    serve | healthy) "$1" ;;
    *) refuse "usage: registrar serve|healthy" ;;
esac
