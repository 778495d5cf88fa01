#!/bin/bash
# The registrar of a copy: BIND, authoritative for ITQAN_DOMAIN and nothing else, Pebble, an ACME authority that
# asks this BIND for its challenges, and nginx before it, which completes the chains that Pebble hands out.
#   registrar serve      all in the foreground; ends with an error as soon as one of them ends
#   registrar healthy    exit code 0 when they answer
#
# Environment: ITQAN_DOMAIN, the zone; ITQAN_ADDRESS, this container's IPv4 address.
# Files:       /etc/itqan/tsig.key              BIND's key clause, hmac-sha512, for the name `itqan.`
#              /etc/itqan/pebble/tls.{pem,key}  for the endpoints: `registrar`, `localhost` and the address
#              /etc/itqan/pebble/authority.{pem,key}  who signs for Pebble's root: the copy's own authority
#
# The zone and its journal survive a restart of the container. Pebble keeps everything in memory: after a restart
# its root and intermediate are new and it knows neither accounts nor orders, so whoever has an account there makes
# another. Certificates of before stay good: their chains lead on to the authority, by a certificate that it
# signed for the root of that time (as Let's Encrypt's first root was cross-signed by an older authority).
# Clients ask https://ADDRESS/dir; Pebble itself, without the longer chains, is at port 14000.
set -euo pipefail

CONFIGURATION=/run/itqan
KEY=/etc/itqan/tsig.key
TLS=/etc/itqan/pebble
DIRECTORY=https://localhost/dir
ROOT=https://localhost:15000/roots/0
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
    for file in "$KEY" "$TLS/tls.pem" "$TLS/tls.key" "$TLS/authority.pem" "$TLS/authority.key"; do
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

# What Pebble's chains lack up to the root that clients trust: a certificate for the key of Pebble's own root, signed
# by the copy's authority, then that authority's. It keeps the extensions, above all the key's identifier.
write_chain() {
    local root=$CONFIGURATION/pebble-root.pem deadline=$((SECONDS + 30))
    until curl -sf --max-time 2 --cacert "$TLS/tls.pem" -o "$root" "$ROOT"; do
        if ((SECONDS > deadline)) || ! kill -0 "$PEBBLE" 2>/dev/null; then refuse "Pebble does not answer at $ROOT"; fi
        sleep 0.05
    done
    openssl x509 -in "$root" -CA "$TLS/authority.pem" -CAkey "$TLS/authority.key" -days 3650 \
        -set_serial "0x$(openssl rand -hex 15)" -out "$CONFIGURATION/cross.pem"
    cat "$CONFIGURATION/cross.pem" "$TLS/authority.pem" >"$CONFIGURATION/chain.pem"
    if ! openssl verify -partial_chain -trusted "$TLS/authority.pem" "$CONFIGURATION/cross.pem" >&2; then
        refuse "$TLS/authority.pem and its key do not belong together"
    fi
}

# Host stays what the client said: Pebble makes its URLs of it, and compares it with the one that was signed
write_proxy() {
    cat >"$CONFIGURATION/nginx.conf" <<END
user root;
worker_processes 1;
daemon off;
pid $CONFIGURATION/nginx.pid;
error_log stderr warn;
events { }
http {
    access_log off;
    server_tokens off;
    server {
        listen $ITQAN_ADDRESS:443 ssl;
        listen 127.0.0.1:443 ssl;
        ssl_certificate $TLS/tls.pem;
        ssl_certificate_key $TLS/tls.key;
        location / {
            proxy_pass https://127.0.0.1:14000;
            proxy_http_version 1.1;
            proxy_set_header Host \$http_host;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate $TLS/tls.pem;
            proxy_ssl_name localhost;
            addition_types application/pem-certificate-chain;
            add_after_body /chain.pem;
        }
        location = /chain.pem {
            internal;
            root $CONFIGURATION;
        }
    }
}
END
}

stop() {
    trap - TERM INT
    kill "${PARTS[@]}" 2>/dev/null || true # one of them may have ended by itself
    wait "${PARTS[@]}" 2>/dev/null || true # 143 is what a stopped process answers
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
    PARTS=("$BIND" "$PEBBLE")
    trap 'stop; exit 0' TERM INT
    write_chain
    write_proxy
    nginx -e stderr -c "$CONFIGURATION/nginx.conf" &
    PARTS+=("$!")
    wait -n "${PARTS[@]}" || true # its end is the failure, whatever its exit code
    if kill -0 "$BIND" 2>/dev/null; then ended=Pebble; fi
    if kill -0 "$PEBBLE" 2>/dev/null; then ended=nginx; fi
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
