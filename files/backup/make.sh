# One backup: made under other names, and a backup only from the moment that its manifest has its name.

# make REASON
make() {
    KIND='make'
    if [ -z "$RECIPIENTS" ]; then refuse "no public key to encrypt to is configured, so no backup was made: ./itqan backup key"; fi
    if is_restoring; then refuse "a restore did not get to its end, so nothing is backed up: ./itqan restore $STACK continues it"; fi
    note_result make begun "$1"
    write_backup "$1"
    note_result make ok "$NAME"
    prune_here
    if [ -n "$PLACE" ]; then copy_out; fi
    KIND=''
    printf '%s\n' "$NAME"
}

# write_backup REASON: sets NAME
write_backup() {
    local commit kind
    STEP="clearing what a killed run left"
    remove_loose
    STEP="disk space"
    require_room "$BACKUPS" "$(needed_kilobytes)" "a backup"
    rm -f "$WORK"/*
    release_locked
    commit=$(deploy_git rev-parse -q --verify HEAD 2>/dev/null || true)
    commit=${commit:-0000000000000000000000000000000000000000}
    # never that of one that is there: it is perhaps to be restored now
    while NAME=backup_$(date -u +%Y%m%dT%H%M%SZ)_${commit:0:12} && [ -e "$BACKUPS/$NAME.json" ]; do sleep 0.1; done
    write_facts "$commit" "$1"
    STEP="dump of the database"
    say "backup: $STEP"
    dump_database "${POSITION[@]}" | sealed database
    release_unlocked
    STEP="archive of the files"
    if [ -n "$FILES" ]; then
        say "backup: $STEP: $FILES"
        archive "$ROOT" | sealed files
    fi
    STEP="manifest"
    book manifest "$WORK" "$MAC" <"$WORK/facts" | kept_as "$NAME.json.part"
    for kind in "$NAME".{database.sql.gz.age,files.tar.gz.age,json}; do
        if [ -e "$BACKUPS/$kind.part" ]; then as "$DEPLOY_USER" mv -f "$BACKUPS/$kind.part" "$BACKUPS/$kind"; fi
    done
    as "$DEPLOY_USER" sync "$BACKUPS"
    say "backup: $BACKUPS/$NAME.json: $(book value "$BACKUPS/$NAME.json" database.rows) rows, $(du -ch "$BACKUPS/$NAME".* | tail -n 1 | cut -f1)"
}

# sealed KIND: standard input, counted, compressed, encrypted to the public keys; written whole and read again, or refused
sealed() {
    local recipient words=() file=$NAME.$1
    for recipient in $RECIPIENTS; do words+=(-r "$recipient"); done
    case $1 in database) file+=.sql.gz.age ;; files) file+=.tar.gz.age ;; esac
    book measure "$1" "$WORK/$1.json" | gzip -c | age "${words[@]}" | book measure bytes "$WORK/$1.sealed.json" | kept_as "$file.part"
    if [ "$(sha256sum <"$BACKUPS/$file.part" | cut -d' ' -f1)" != "$(book value "$WORK/$1.sealed.json" sha256)" ]; then
        refuse "$BACKUPS/$file: the disk gives back something else than was written to it"
    fi
}
# kept_as NAME: standard input as a file of the backups' folder, on the disk before anything says that it is there
kept_as() {
    # shellcheck disable=SC2016 # the inner shell's own words
    as "$DEPLOY_USER" bash -c 'umask 077; cat >"$1" && sync "$1"' _ "$BACKUPS/$1"
}

# archive ROOT: the folders of FILES. A file that changes or goes meanwhile is no failure (tar's exit code 1).
archive() {
    local path status=0 there=()
    for path in $FILES; do
        if [ -L "$1/$path" ]; then refuse "$1/$path is a link: name the folder that it leads to in itqan:backup.files"; fi
        if [ -d "$1/$path" ]; then there+=("$path"); else say "backup: $1/$path is not there"; fi
    done
    tar -C "$1" -cf - -T /dev/null "${there[@]}" || status=$?
    if ((status > 1)); then return "$status"; fi
    if ((status)); then say "backup: a file changed while it was read"; fi
}

# write_facts COMMIT REASON: what the manifest says beside what is counted
write_facts() {
    local engines
    POSITION=()
    if [ "$(sql 'SELECT @@log_bin')" = 1 ]; then
        POSITION=(--source-data=2)
        if [ -x /usr/sbin/mariadbd ]; then POSITION=(--master-data=2); fi
    fi
    engines=$(sql "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = '$DATABASE' AND table_type = 'BASE TABLE' AND engine <> 'InnoDB'" | paste -sd ' ')
    if [ -n "$engines" ]; then say "backup: tables of $engines know no transaction: what is written to them meanwhile is in the dump in part"; fi
    printf '%s\n' "name $NAME" "owner $OWNER" "host $(hostname)" "schema $DATABASE" "commit $1" "reason $2" \
        "server $(sql 'SELECT VERSION()')" "age $(age --version)" "recipients $RECIPIENTS" "paths $FILES" \
        "migrations $(sql "SELECT migration FROM \`$DATABASE\`.migrations ORDER BY id" | paste -sd ' ')" >"$WORK/facts"
}

# needed_kilobytes: a quarter more than the newest one took; of a first one, what the data is without being compressed
needed_kilobytes() {
    local newest path sum
    newest=$(whole_here | head -n 1)
    if [ -n "$newest" ]; then
        sum=$(du -ck "$BACKUPS/$newest".* | tail -n 1 | cut -f1)
        printf '%d\n' $((sum * 5 / 4 + 51200))
        return
    fi
    sum=$(data_size)
    for path in $FILES; do sum=$((sum + $({ du -sk "$ROOT/$path" 2>/dev/null || echo 0; } | cut -f1))); done
    printf '%d\n' $((sum + 51200))
}

whole_here() { book whole "$BACKUPS"; }

# remove_loose: what a killed run left in the backups' folder, and nothing else; what a restore left that never closed the site
remove_loose() {
    local name
    if ! is_restoring; then clear_beside; fi
    find "$STATE" -maxdepth 1 \( -name 'work.*' -o -name fetched -o -name received \) -mmin +1440 -exec rm -rf {} +
    book loose "$BACKUPS" | while read -r name; do
        say "backup: a run that was killed left $BACKUPS/$name: removed"
        as "$DEPLOY_USER" rm -f "$BACKUPS/$name"
    done
}

# prune_here: only complete backups count, so that none that is broken takes the place of a good one. The manifest goes first:
# a kill in between leaves what the next run takes for loose.
prune_here() {
    local name
    STEP="removing old backups"
    # shellcheck disable=SC2086 # three numbers
    whole_here | book drop $KEEP | while read -r name; do
        say "backup: an old one is removed: $name"
        as "$DEPLOY_USER" rm -f "$BACKUPS/$name.json"
        as "$DEPLOY_USER" rm -f "$BACKUPS/$name.database.sql.gz.age" "$BACKUPS/$name.files.tar.gz.age"
    done
}

# ended: systemd runs it after `make` whatever became of that; one that was killed had no time to say so
ended() {
    if [ "$(noted_result make)" = begun ]; then note_result make failed "killed (${SERVICE_RESULT-unknown}): see \`journalctl -u itqan-backup\`"; fi
}

# list: manifests on one line each, as they stand here and at the second place; then each noted result
list() {
    local name kind
    for name in $(whole_here); do printf 'here %s\n' "$(tr -d '\n' <"$BACKUPS/$name.json")"; done
    if [ -n "$PLACE" ]; then
        if place_list >"$WORK/second" 2>"$WORK/words"; then
            whole_there <"$WORK/second" | while read -r name; do
                if ! [ -e "$BACKUPS/$name.json" ]; then place_get "$name.json" "$WORK/$name.json" >&2; else cp "$BACKUPS/$name.json" "$WORK/"; fi
                printf 'second %s\n' "$(tr -d '\n' <"$WORK/$name.json")"
            done
        else
            printf 'unreached %s\n' "$(place_said "$WORK/words")"
        fi
    fi
    for kind in make copy restore verify; do
        if [ -s "$STATE/$kind" ]; then printf 'result %s %s\n' "$kind" "$(cat "$STATE/$kind")"; fi
    done
}
