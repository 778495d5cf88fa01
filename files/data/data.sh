# itqan-data: production's data on their way into a copy; they are anonymous before they come here (docs/data.md).
#   ready              whether a release is installed, so that data can come
#   begin [FOLDER…]    visitors see maintenance mode; what the database, the folders and Redis have is thrown away
#   database <DUMP     a dump as itqan-backup makes it, anonymous by now
#   files <ARCHIVE     a tar archive of the folders
#   end NAME           all of it has come; the release that follows runs the migrations and opens the site
# Between `begin` and `end` no release is made, so that nobody sees half of it, whatever becomes of who brings it.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022
cd /

begin() {
    local settings path
    : >"$MARK"
    sync "$MARK"
    if ! [ -e "$ROOT/storage/framework/down" ]; then
        artisan down --retry=15 || say "data: the installed code does not start: going on without maintenance mode"
    fi
    settings=$(sql "SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name) \
FROM information_schema.schemata WHERE schema_name = '$DATABASE'")
    sql_root -e "DROP DATABASE IF EXISTS \`$DATABASE\`; CREATE DATABASE \`$DATABASE\` $settings" </dev/null
    for path; do
        if [[ /$path/ == */../* ]] || [[ $path != storage/* ]]; then refuse "$path: only folders below storage are replaced"; fi
        empty "$path"
    done
    rm -f /etc/itqan/seeds-due
    # sessions, cache and jobs are about rows that are gone
    if [ -n "$REDIS" ]; then
        # shellcheck disable=SC2086 # host and port
        ask_redis $REDIS flushall >/dev/null
    fi
}

# empty FOLDER: with what the repository itself has in it
empty() {
    rm -rf "${ROOT:?}/$1"
    deploy_git checkout -q -- "$1" 2>/dev/null || true
    mkdir -p "$ROOT/$1"
    chown "$WRITABLE_OWNER" "$ROOT/$1"
    chmod "$WRITABLE_MODE" "$ROOT/$1"
}

database() {
    if ! [ -e "$MARK" ]; then refuse "data: itqan-data begin comes first"; fi
    sql_root "$DATABASE"
}

files() {
    if ! [ -e "$MARK" ]; then refuse "data: itqan-data begin comes first"; fi
    as "$WEB_USER" tar -C "$ROOT" --no-same-permissions -xf -
}

end() {
    install -d -m 755 /var/lib/itqan
    printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" >/var/lib/itqan/data
    rm -f "$MARK"
}

# shellcheck source=/dev/null
. /etc/itqan/release.conf
MARK=/etc/itqan/loading-$DATABASE
REDIS=$(sed -n 's/^REDIS_HOST=//p; s/^REDIS_PORT=//p' "$ROOT/.env" 2>/dev/null | paste -sd ' ' || true)
OWNER=$(probe_owner)
if [[ $OWNER != *' copy' ]]; then refuse "data: this host is of ${OWNER#owner }, and no copy: nothing was changed"; fi
exec 8>/run/lock/itqan-release-tool.lock
if ! flock -w 900 8; then refuse "a release runs"; fi
case ${1-} in
    ready) installed && [ -e "$ROOT/.env" ] ;;
    begin) begin "${@:2}" ;;
    database) database ;;
    files) files ;;
    end) end "$2" ;;
    *) refuse "usage: itqan-data ready|begin|database|files|end" ;;
esac
