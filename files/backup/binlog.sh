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
    restored=$(cat "$LOG.1" "$LOG" 2>/dev/null | sed -n 's/^{"when": "\([^"]*\)", "what": "restore", "result": "begun".*/\1/p' | awk -v first="$first" '$1 > first && !found++')
    if [ -n "$restored" ] && ((until >= $(date -u -d "$restored" +%s))); then
        refuse "--until $1: the database was replaced by a restore at $restored: take a backup from after that, or a time before it; nothing was changed"
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

# replay UNTIL SCHEMA: the log's own client leads what was written to the database into SCHEMA. What it cannot lead is refused: a
# statement that names the database would change the one in use. And the rows that arrive are counted.
replay() {
    local words=() filter=$2 named
    STEP="applying the binary log until $1"
    say "restore: $STEP"
    mapfile -t LOGS < <(logs_from "$(book value "$FOUND/$NAME.json" database.binlog.file)")
    words=(--start-position="$(book value "$FOUND/$NAME.json" database.binlog.position)" --stop-datetime="$(date -u -d "$1" '+%Y-%m-%d %H:%M:%S')" -v)
    log_client "${words[@]}" --base64-output=decode-rows | count_rows "$DATABASE" "$WORK/written" | naming "$DATABASE" >"$WORK/named"
    named=$(head -n 1 "$WORK/named")
    if [ -n "$named" ]; then forget_new "the binary log has a statement that names the database itself and cannot be led into another one: ${named:0:200}; choose a time before it"; fi
    # MariaDB's client filters by the name before the rewriting, MySQL's by the one after it
    if [ -x /usr/sbin/mariadbd ]; then filter=$DATABASE; fi
    if ! log_client "${words[@]}" --rewrite-db="$DATABASE->$2" --database="$filter" | count_rows "$2" "$WORK/led" | sql_root; then
        forget_new "the binary log could not be applied: the database's words stand above"
    fi
    if ! cmp -s "$WORK/written" "$WORK/led"; then
        forget_new "of the $(cat "$WORK/written") changes of rows in the binary log $(cat "$WORK/led") would have been applied"
    fi
    say "restore: $(cat "$WORK/led") changes of rows of the binary log were applied"
}
log_client() {
    local program=mysqlbinlog words=(--skip-gtids)
    if [ -x /usr/sbin/mariadbd ]; then program=mariadb-binlog words=(); fi
    TZ=UTC "$program" --no-defaults "${words[@]}" "$@" "${LOGS[@]}"
}
# count_rows SCHEMA FILE: passes a decoded log on; FILE tells how many changes of rows of SCHEMA's it has
count_rows() {
    awk -v schema="\`$1\`." -v file="$2" '
        {print}
        /^### (INSERT INTO|UPDATE|DELETE FROM) / && index($0, schema) {count++}
        END {print count + 0 >file}'
}
# naming SCHEMA <LOG: statements that name it, other than to use it
naming() { { grep -vE '^(#|use |/\*![0-9]+ SET)' || true; } | { grep -iE "(^|[^[:alnum:]_])\`?$1\`?[[:space:]]*[.]|(DATABASE|SCHEMA)[^;]*[^[:alnum:]_]$1([^[:alnum:]_]|\$)" || true; }; }
