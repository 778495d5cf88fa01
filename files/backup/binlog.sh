# A moment between two backups: what the database's binary log has of the time after the backup, applied to the database that
# was restored beside the one in use, and up to that moment.

# require_logs UNTIL: said before anything is made
require_logs() {
    local first file position restored until
    if ! until=$(date -u -d "$1" +%s 2>/dev/null); then refuse "--until $1 is no time: such as 2026-11-29T12:30:00Z; nothing was changed"; fi
    if [ "$(sql 'SELECT @@log_bin')" != 1 ]; then refuse "--until: the binary log of the database is off (log_bin), so there are only the moments of the backups; nothing was changed"; fi
    if [ "$(sql 'SELECT @@GLOBAL.binlog_format')" != ROW ]; then refuse "--until: binlog_format is $(sql 'SELECT @@GLOBAL.binlog_format') and has to be ROW: statements cannot be led into another schema; nothing was changed"; fi
    file=$(book value "$FOUND/$NAME.json" database.binlog.file) position=$(book value "$FOUND/$NAME.json" database.binlog.position)
    if [ -z "$file" ]; then refuse "--until: the binary log was off when $NAME was made; nothing was changed"; fi
    first=$(book value "$FOUND/$NAME.json" made)
    if ((until < $(date -u -d "$first" +%s))) || ((until > EPOCHSECONDS)); then refuse "--until $1 does not lie between $NAME and now; nothing was changed"; fi
    restored=$(grep '"what": "restore", "result": "ok"' "$LOG" 2>/dev/null | sed 's/.*"when": "\([^"]*\)".*/\1/' | LC_ALL=C sort | awk -v first="$first" '$1 > first' | head -n 1 || true)
    if [ -n "$restored" ] && ((until > $(date -u -d "$restored" +%s) - 3600)); then
        refuse "--until $1: the database was restored at $restored, and the log before that is of another one: take a backup from after it, or a time an hour before; nothing was changed"
    fi
    if ! logs_from "$file" >/dev/null; then refuse "--until: the binary log $file, where $NAME stands, was removed (binlog_expire_logs_seconds); nothing was changed"; fi
    say "restore: the binary log from $file, position $position"
}
# logs_from FILE: the paths of it and of those that follow; fails where it is not there
logs_from() {
    local folder
    folder=$(dirname "$(sql 'SELECT @@log_bin_basename')")
    sql 'SHOW BINARY LOGS' | awk -v first="$1" -v folder="$folder" '$1 == first {found = 1} found {print folder "/" $1} END {exit !found}'
}

# replay UNTIL SCHEMA: the log's own client leads what was written to the database into SCHEMA
replay() {
    local program=mysqlbinlog words=() logs
    STEP="applying the binary log until $1"
    say "restore: $STEP"
    mapfile -t logs < <(logs_from "$(book value "$FOUND/$NAME.json" database.binlog.file)")
    if [ -x /usr/sbin/mariadbd ]; then program=mariadb-binlog; else words+=(--skip-gtids); fi
    words+=(--start-position="$(book value "$FOUND/$NAME.json" database.binlog.position)"
        --stop-datetime="$(date -u -d "$1" '+%Y-%m-%d %H:%M:%S')" --rewrite-db="$DATABASE->$2" --database="$2")
    if ! TZ=UTC "$program" --no-defaults "${words[@]}" "${logs[@]}" | sql_root; then forget_new "the binary log could not be applied: its words stand above"; fi
}
