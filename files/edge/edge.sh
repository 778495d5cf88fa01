#!/bin/bash
# The edge of a Docker host.
#   edge serve               nginx in the foreground, with the configuration of last time
#   edge configure DIGEST TEXT   another configuration, if nginx does not have it: TEXT is tested, then loaded
#   edge served              the digest of the configuration that new connections meet
#   edge listens             ADDRESS:PORT of that configuration; nothing when it has none
# nginx reloads: connections that are open stay with the workers that have them.
set -euo pipefail

FILE=/etc/nginx/edge.conf
LOG=/run/edge.log # beside the container's own log, to quote why nginx refuses

refuse() { printf 'edge: %s\n' "$*"; exit 1; }
listens() { sed -n 's/^ *listen \([0-9.]*:[0-9]*\);$/\1/p' "$FILE"; }
served() { curl -s --max-time 2 --unix-socket /run/edge.sock http://edge/ 2>/dev/null; }

serve() {
    # left by a container that was killed; nginx would not listen there again
    rm -f /run/edge.sock /run/edge-refuse.sock
    if ! [ -s "$FILE" ]; then
        cat >"$FILE" <<'END'
daemon off;
pid /run/edge.pid;
error_log stderr warn;
events { }
http {
    access_log off;
    server {
        listen unix:/run/edge.sock;
        return 200 "empty\n";
    }
}
END
    fi
    exec nginx -e stderr -c "$FILE"
}

configure() {
    local digest=$1 text=$2 deadline words
    exec 9>/run/edge.lock
    flock -w 60 9 || refuse 'another configuration is being loaded for a minute already'
    deadline=$((SECONDS + 10))
    until [ -n "$(served)" ]; do
        if ((SECONDS >= deadline)); then refuse 'nginx does not answer'; fi
        sleep 0.05
    done
    if [ "$(served)" = "$digest" ]; then return; fi
    printf '%s' "$text" >"$FILE.new"
    if ! words=$(nginx -t -q -e stderr -c "$FILE.new" 2>&1); then refuse "nginx refuses the configuration: $words"; fi
    cp "$FILE" "$FILE.before"
    mv "$FILE.new" "$FILE"
    : >"$LOG"
    kill -HUP "$(cat /run/edge.pid)"
    deadline=$((SECONDS + 10))
    until [ "$(served)" = "$digest" ]; do
        # its last word, after five attempts
        if ((SECONDS >= deadline)) || grep -q 'still could not bind' "$LOG"; then
            mv "$FILE.before" "$FILE"
            refuse "nginx has not taken the configuration over: $(sed -n 's/.*\[emerg\] [^ ]* //p' "$LOG" | head -n 1)"
        fi
        sleep 0.05
    done
}

case ${1-} in
    serve | served | listens) "$1" ;;
    configure) configure "$2" "$3" ;;
    *) refuse 'usage: edge serve|served|listens|configure DIGEST TEXT' ;;
esac
