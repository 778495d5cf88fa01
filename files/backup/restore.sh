# The way back. All is made beside what is there and compared with the manifest while the site still runs; then maintenance mode,
# a backup of what is replaced, and renames. What was reached stands in JOURNAL before the step that follows: a run that was
# killed before maintenance mode has changed nothing, one after it is continued, without keys. Where all is replaced and the
# site does not answer, another backup may be what helps.

# jot KEY VALUE; jotted KEY
jot() {
    printf '%s %s\n' "$1" "$2" >>"$JOURNAL"
    sync "$JOURNAL"
}
jotted() { sed -n "s/^$1 //p" "$JOURNAL" 2>/dev/null | tail -n 1; }
# begin_journal UNTIL: in one rename, for the restore before may have closed the site already
begin_journal() {
    printf '%s\n' "NAME $NAME" "UNTIL $1" "TABLES $(tables_of "${DATABASE}_itqan_new" | wc -l)" 'CLOSED yes' >"$JOURNAL.new"
    sync "$JOURNAL.new"
    mv -f "$JOURNAL.new" "$JOURNAL"
}
# is_restoring: whether a restore has closed the site and did not get to its end
is_restoring() { [ -n "$(jotted CLOSED)" ]; }

# restore NAME [UNTIL] <KEYS
restore() {
    local until=${2-}
    KIND=restore
    read_keys
    if is_restoring && [ -z "$(jotted REPLACED)" ]; then refuse "the restore of $(jotted NAME) did not get to its end: continue it first: ./itqan restore $STACK"; fi
    if [ -e "$UNDO/journal" ]; then refuse "a release did not get to its end: \`sudo itqan-release\` settles it, see docs/releases.md"; fi
    NAME=$1
    obtain "$NAME"
    require_ours
    if [ -n "$until" ]; then require_logs "$until"; fi
    prepare_database "$until"
    prepare_files
    release_locked
    if [ -n "$RECIPIENTS" ]; then require_room "$BACKUPS" "$(needed_kilobytes)" "the backup of what is replaced"; fi
    begin_journal "$until"
    note_result restore begun "$NAME"
    close_site
    change_over
}

# continue_restore: what is left of one that was killed
continue_restore() {
    KIND=restore
    if ! is_restoring; then refuse "no restore waits to be continued"; fi
    release_locked
    NAME=$(jotted NAME)
    say "restore: $NAME: going on where the run before stopped"
    close_site
    change_over
}

# change_over: from maintenance mode to the end; each step can be repeated
change_over() {
    local wanted=$NAME saved=NAME
    if [ -z "$(jotted SAVED)" ]; then
        if [ -n "$RECIPIENTS" ]; then
            write_backup "before the restore of $wanted"
            say "restore: what is replaced is in $NAME"
            saved=$NAME NAME=$wanted
        fi
        jot SAVED "$saved"
    fi
    STEP="replacing the database"
    if [ -z "$(jotted SWAPPED)" ]; then swap_database; fi
    STEP="replacing the files"
    swap_files
    jot REPLACED yes
    STEP="caches and workers"
    artisan cache:clear
    cache_everything
    restart_workers || say "restore: the workers were not told to restart: see above"
    open_site
    remove_old
    note_result restore ok "$NAME$(until=$(jotted UNTIL); printf '%s' "${until:+ until $until}")"
    rm -rf "$JOURNAL" "$STATE/objects.sql" "$STATE/fetched" "$STATE/received"
    KIND=''
    say "restore: $NAME: the database and the files are as it has them"
}

# read_keys: lines `key IDENTITY` and `header KIND SKIP BASE64`: a head that this one identity opens, in the place of the first
# SKIP bytes. The identity is of this run alone (operations/restore.py); it is never in a file, an argument or an environment.
read_keys() {
    local word kind skip text
    IDENTITY=''
    declare -gA HEADS=() SKIPS=()
    while read -r word kind skip text; do
        case $word in
            key) IDENTITY=$kind ;;
            header) HEADS[$kind]=$text SKIPS[$kind]=$skip ;;
            *) refuse "the keys on standard input cannot be read; nothing was changed" ;;
        esac
    done
    if [ -z "$IDENTITY" ]; then refuse "no key came on standard input; nothing was changed"; fi
}

# opened KIND: a part as it was before it was encrypted and compressed; age knows every byte that was changed
opened() {
    { base64 -d <<<"${HEADS[$1]}"; tail -c "+$((SKIPS[$1] + 1))" "$(part_file "$1")"; } | age -d -i <(printf '%s\n' "$IDENTITY") | gzip -dc
}

# require_ours: a server takes what it made itself; a copy takes anything that its operator gives it
require_ours() {
    local owner
    owner=$(book value "$FOUND/$NAME.json" owner)
    if [ "$owner" = "$OWNER" ]; then return; fi
    if [ "$FOUND" != "$STATE/received" ] || [[ $OWNER != *' copy' ]]; then
        refuse "$NAME is of $owner and this host of $OWNER: a server is restored from its own backups only; nothing was changed"
    fi
    if [ "$(variable APP_ENV)" = production ]; then refuse "APP_ENV is production in $ROOT/.env; nothing was changed"; fi
}

# prepare_database UNTIL: beside the one in use, and compared with the manifest
prepare_database() {
    local new=${DATABASE}_itqan_new settings plain
    STEP="import of the database"
    plain=$(book value "$FOUND/$NAME.json" database.plain.bytes)
    if [ -z "$(book value "$FOUND/$NAME.json" database.tables)" ]; then refuse "$NAME has no database; nothing was changed"; fi
    require_room /var/lib/mysql $((plain * 3 / 2048 + 51200)) "the database beside the one in use"
    say "restore: $STEP, beside the one in use"
    settings=$(sql "SELECT CONCAT('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name) \
FROM information_schema.schemata WHERE schema_name = '$DATABASE'")
    clear_beside
    sql_root -e "CREATE DATABASE \`$new\` $settings" </dev/null
    if ! opened database | sql_root "$new"; then forget_new "the database cannot be read from $NAME: age's, gzip's or the database's words stand above"; fi
    STEP="comparison of the database with the manifest"
    say "restore: $STEP"
    DATABASE=$new dump_database | book measure database "$WORK/again.json" >/dev/null
    require_same database
    if [ -n "$1" ]; then replay "$1" "$new"; fi
    DATABASE=$new dump_objects >"$STATE/objects.sql"
    sync "$STATE/objects.sql"
}

# require_same KIND: what was made is what the manifest says
require_same() {
    local differing
    differing=$(book compare "$FOUND/$NAME.json" "$1" "$WORK/again.json")
    if [ -n "$differing" ]; then forget_new "what comes out of $NAME is not what its manifest says: ${differing//$'\n'/; }"; fi
}
# forget_new WORDS: what was made beside goes again; nobody has noticed it
forget_new() {
    clear_beside
    refuse "$1; nothing was changed"
}
# clear_beside: what a restore that never closed the site has made, one that was killed too
clear_beside() {
    local path
    sql_root -e "DROP DATABASE IF EXISTS \`${DATABASE}_itqan_new\`; DROP DATABASE IF EXISTS \`${DATABASE}_itqan_old\`" </dev/null
    rm -rf "$ROOT"/storage/.itqan-restore.*
    for path in $FILES $(cat "$STATE/paths" 2>/dev/null || true); do rm -rf "$ROOT/$path.itqan-new"; done
    rm -f "$STATE/paths" "$STATE/objects.sql"
}

# dump_objects: what a table does not take with it when it moves: views, triggers, routines, events
dump_objects() {
    local views words=(--no-tablespaces --skip-comments --skip-triggers --no-data --default-character-set=utf8mb4)
    dump_database --no-data --no-create-info --skip-comments
    if ! [ -x /usr/sbin/mariadbd ]; then words+=(--set-gtid-purged=OFF); fi
    mapfile -t views < <(sql "SELECT table_name FROM information_schema.views WHERE table_schema = '$DATABASE'")
    # a dump of named tables takes no routines and events along a second time
    if ((${#views[@]})); then dump_root "${words[@]}" "$DATABASE" "${views[@]}"; fi
}

# swap_database: all tables in one statement. Tables with triggers cannot change their schema, so these go before; views, routines
# and events of the new database come after. In maintenance mode nobody sees the moment without them. A new database without
# tables has given them away before a kill, unless it never had any: then only the other half is left to do.
swap_database() {
    local new=${DATABASE}_itqan_new old=${DATABASE}_itqan_old moves
    say "restore: $STEP"
    drop_objects "$DATABASE"
    drop_objects "$new"
    if [ -n "$(tables_of "$new")" ] || [ "$(jotted TABLES)" = 0 ]; then moves=$(moves_of "$DATABASE" "$old"; moves_of "$new" "$DATABASE"); fi
    if [ -n "${moves-}" ]; then
        sql_root -e "CREATE DATABASE IF NOT EXISTS \`$old\`" </dev/null
        sql_root <<<"SET foreign_key_checks = 0; RENAME TABLE $(paste -sd , <<<"$moves");"
    fi
    sql_root "$DATABASE" <"$STATE/objects.sql"
    jot SWAPPED yes
}
tables_of() { sql "SELECT table_name FROM information_schema.tables WHERE table_schema = '$1' AND table_type = 'BASE TABLE'"; }
moves_of() { tables_of "$1" | sed "s/\`/\`\`/g; s/.*/\`$1\`.\`&\` TO \`$2\`.\`&\`/"; }
# drop_objects SCHEMA
drop_objects() {
    local statements
    statements=$(sql "SELECT CONCAT('DROP TRIGGER \`', REPLACE(trigger_name, '\`', '\`\`'), '\`;') FROM information_schema.triggers WHERE trigger_schema = '$1'
UNION ALL SELECT CONCAT('DROP VIEW \`', REPLACE(table_name, '\`', '\`\`'), '\`;') FROM information_schema.views WHERE table_schema = '$1'
UNION ALL SELECT CONCAT('DROP ', routine_type, ' \`', REPLACE(routine_name, '\`', '\`\`'), '\`;') FROM information_schema.routines WHERE routine_schema = '$1'
UNION ALL SELECT CONCAT('DROP EVENT \`', REPLACE(event_name, '\`', '\`\`'), '\`;') FROM information_schema.events WHERE event_schema = '$1'")
    if [ -n "$statements" ]; then sql_root "$1" <<<"$statements"; fi
}

# restored_paths: the folders that the backup has and that this application has a place for
restored_paths() { book value "$FOUND/$NAME.json" paths; }

# prepare_files: beside those in use, each as FOLDER.itqan-new, so that it takes its place in one rename
prepare_files() {
    local path folder
    if [ -z "$(book value "$FOUND/$NAME.json" files.sealed.file)" ]; then return; fi
    STEP="unpacking the files"
    require_room "$ROOT" $(($(book value "$FOUND/$NAME.json" files.plain.bytes) / 1024 + 51200)) "the files beside those in use"
    say "restore: $STEP, beside those in use"
    for path in $(restored_paths); do
        rm -rf "$ROOT/$path.itqan-new"
        mkdir -p "$ROOT/$(dirname "$path")"
    done
    folder=$(mktemp -d "$ROOT/storage/.itqan-restore.XXXXXXXX")
    if ! opened files | tar -C "$folder" -xpf -; then
        rm -rf "$folder"
        forget_new "the files cannot be read from $NAME: the words of age, gzip or tar stand above"
    fi
    STEP="comparison of the files with the manifest"
    ROOT=$folder FILES=$(restored_paths) archive "$folder" | book measure files "$WORK/again.json" >/dev/null
    require_same files
    for path in $(restored_paths); do
        if [ -d "$folder/$path" ]; then mv -T "$folder/$path" "$ROOT/$path.itqan-new"; fi
        printf '%s\n' "$path"
    done >"$STATE/paths"
    rm -rf "$folder"
}
swap_files() {
    local path
    if ! [ -e "$STATE/paths" ]; then return; fi
    say "restore: $STEP"
    while read -r path; do
        if ! [ -e "$ROOT/$path.itqan-new" ]; then continue; fi
        if [ -e "$ROOT/$path" ]; then
            rm -rf "$ROOT/$path.itqan-old"
            mv -T "$ROOT/$path" "$ROOT/$path.itqan-old"
        fi
        mv -T "$ROOT/$path.itqan-new" "$ROOT/$path"
    done <"$STATE/paths"
}
# remove_old: what was replaced; the backup that was made before has it
remove_old() {
    local path
    sql_root -e "DROP DATABASE IF EXISTS \`${DATABASE}_itqan_old\`; DROP DATABASE IF EXISTS \`${DATABASE}_itqan_new\`" </dev/null
    if [ -e "$STATE/paths" ]; then
        while read -r path; do rm -rf "$ROOT/$path.itqan-old"; done <"$STATE/paths"
        rm -f "$STATE/paths"
    fi
}

close_site() {
    STEP="maintenance mode"
    say "restore: $STEP on"
    if ! [ -e "$ROOT/storage/framework/down" ]; then
        artisan down --retry=15 || say "restore: the application does not start: going on without maintenance mode"
    fi
}
# open_site: unless the restored data breaks it; then visitors better wait
open_site() {
    local status
    STEP="maintenance mode"
    artisan up
    if ! wait_until 15 answers; then
        status=$(site_answer)
        artisan down --retry=15
        refuse "the data is that of $NAME, and the site answers $status: see storage/logs/laravel.log; back to what was before: ./itqan restore $STACK $(jotted SAVED)"
    fi
    say "restore: $STEP off"
}
site_answer() { curl -s -k -m 20 -o /dev/null -w '%{http_code}' --resolve "$DOMAIN:443:127.0.0.1" "https://$DOMAIN/" || true; }
answers() {
    local status
    status=$(site_answer)
    ((status >= 200 && status < 500))
}
