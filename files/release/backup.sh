# The backup before migrations: the document's mysqldump into /home/deploy/backups.

# back_up COMMIT: the database as the code of COMMIT has it; sets BACKUP. A dump has its name only when it is whole. The newest
# KEEP_BACKUPS that a release made stay; whatever else is in the folder is nobody's business here.
back_up() {
    local part=$BACKUPS/.itqan-backup.part path
    path=$BACKUPS/itqan_$(date +%Y%m%d_%H%M%S)_${1:0:12}.sql.gz
    say "release: backup of the database: $path"
    as "$DEPLOY_USER" rm -f "$part"
    # shellcheck disable=SC2016 # the inner shell's own words
    if ! dump_database | as "$DEPLOY_USER" bash -c 'umask 077; gzip -1 >"$1"' _ "$part" || ! is_whole_dump "$part" "$(count_tables)"; then
        as "$DEPLOY_USER" rm -f "$part"
        refuse "$path: no whole backup of the database could be made (disk full?); no migration was run"
    fi
    as "$DEPLOY_USER" sync "$part"
    as "$DEPLOY_USER" mv -f "$part" "$path"
    BACKUP=$path
    note BACKUP "$path"
    prune_backups
}

# dump_database [WORD…]: with what mysqldump leaves out by itself, without what only the server's administrator may load
dump_database() {
    local words=(--single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces --default-character-set=utf8mb4)
    if ! [ -x /usr/sbin/mariadbd ]; then words+=(--set-gtid-purged=OFF); fi
    dump_root "${words[@]}" "$@" "$DATABASE"
}
# dump_root WORD…: mysqldump as `sql_root` logs in
dump_root() {
    if [ -s /etc/mysql/debian.cnf ]; then mysqldump --defaults-file=/etc/mysql/debian.cnf "$@"; else mysqldump --no-defaults "$@"; fi
}

# is_whole_dump FILE TABLES: it can be unpacked, has that many tables, and ends as mysqldump ends what it could finish
is_whole_dump() {
    as "$DEPLOY_USER" gzip -dc "$1" \
        | awk -v tables="$2" '/^CREATE TABLE `/ {made++} NF {last = $0} END {exit !(last ~ /^-- Dump completed/ && made >= tables)}'
}
count_tables() { sql "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '$DATABASE' AND table_type = 'BASE TABLE'"; }
# data_size: of the database, in kilobytes
data_size() { sql "SELECT CEIL(IFNULL(SUM(data_length), 0) / 1024) FROM information_schema.tables WHERE table_schema = '$DATABASE'"; }

prune_backups() {
    local name
    find "$BACKUPS" -maxdepth 1 -type f -name 'itqan_????????_??????_????????????.sql.gz' -printf '%f\n' | LC_ALL=C sort -r \
        | tail -n "+$((KEEP_BACKUPS + 1))" | while read -r name; do
            say "release: an old backup is removed: $name"
            as "$DEPLOY_USER" rm -f "$BACKUPS/$name"
        done
}
