# A person's decision about a database that a failed release has changed.

# restore FILE: the database as the backup has it, and the site is open again if it works. What is there now is backed up before.
restore() {
    local file=$1 settings
    STEP="restore $1"
    if ! [ -s "$file" ] || ! is_whole_dump "$file" 1; then refuse "$file is no whole backup: \`ls -lt $BACKUPS\` has the others"; fi
    begin_log restore "$(deploy_git rev-parse HEAD)"
    if is_begun; then recall; else begin_undo; fi
    note UNDECIDED "the database is being restored from $file"
    note BACKUP "$file"
    if ! [ -e "$ROOT/storage/framework/down" ]; then maintenance_on; fi
    KEEP_BACKUPS=1000000 back_up "$COMMIT"
    settings=$(sql "SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name) \
FROM information_schema.schemata WHERE schema_name = '$DATABASE'")
    say "release: the database is made anew from $file"
    sql_root -e "DROP DATABASE IF EXISTS \`$DATABASE\`; CREATE DATABASE \`$DATABASE\` $settings" </dev/null
    as "$DEPLOY_USER" gzip -dc "$file" | sql_root "$DATABASE"
    note UNDECIDED ''
    note REVERSED yes
    note BACK yes
    restart_workers || say "release: the workers were not told to restart: see above"
    open_site restored
}

# accept: the database stays as the failed release left it
accept() {
    STEP="accept"
    if ! is_begun || [ -z "$(noted UNDECIDED)" ]; then refuse "no release waits for a decision"; fi
    forget_undo
    say "release: the database stays as it is$(if [ -e "$ROOT/storage/framework/down" ]; then echo '; the site stays in maintenance mode until'; else echo '; until'; fi) a commit that fits it is released: ./itqan up"
}
