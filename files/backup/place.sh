# The second place: a host with SFTP, by OpenSSH's own client, which every host has and which pins the key; or a bucket of an
# S3-compatible store, by rclone.

PLACE_OPTIONS=(-o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/etc/itqan/backup.known_hosts
    -o GlobalKnownHostsFile=/dev/null -o ConnectTimeout=15 -o ServerAliveInterval=15 -o LogLevel=ERROR -i /etc/itqan/backup.key)

# place_sftp <COMMANDS: of sftp(1); the first one that fails ends it
place_sftp() { sftp -F /dev/null -b - "${PLACE_OPTIONS[@]}" -P "$PLACE_PORT" "$PLACE_USER@$PLACE_HOST"; }
place_rclone() { rclone --config /etc/itqan/backup.rclone --contimeout 15s --timeout 60s --retries 2 --low-level-retries 3 --stats 0 "$@"; }

# place_said FILE: why it failed. rclone ends with its reason; before sftp's own `Connection closed` stands that of ssh.
place_said() {
    local lines=3
    if [ "$PLACE" = s3 ]; then lines=1; fi
    tail -n "$lines" "$1" | tr -d '\r' | paste -sd '|' | sed 's/|/; /g'
}

# place_list: a line `SIZE NAME` for each file in the stack's folder there
place_list() {
    if [ "$PLACE" = s3 ]; then
        place_rclone lsf --files-only --format sp --separator ' ' "second:$PLACE_FOLDER"
    else
        place_sftp >"$WORK/listed" <<<"$(place_folders | sed 's/^/-mkdir /')"$'\n'"ls -ln $PLACE_FOLDER" || return 1
        awk '$1 ~ /^-/ && NF >= 9 {sub(/.*\//, "", $9); print $5, $9}' "$WORK/listed"
    fi
}
# look_there WORDS: what is there, into a file; WORDS, what holds where it cannot be used
look_there() {
    if ! place_list >"$WORK/second" 2>"$WORK/words"; then refuse "the second place ($PLACE_WORDS) cannot be used: $(place_said "$WORK/words"); $1"; fi
}
# place_folders: the folder and those that it lies in, which may have to be made
place_folders() {
    local path=$PLACE_FOLDER all=()
    while [ "$path" != . ] && [ "$path" != / ]; do
        all=("$path" "${all[@]}")
        path=$(dirname "$path")
    done
    printf '%s\n' "${all[@]}"
}

# place_put FILE: whole or not at all. What is there by its name goes before: without OpenSSH's own extension, SFTP renames to
# no name that is taken.
place_put() {
    local name=${1##*/} removal=''
    if [ "$PLACE" = s3 ]; then
        place_rclone copyto "$1" "second:$PLACE_FOLDER/$name"
    else
        if grep -q " $name\$" "$WORK/second"; then removal=$'\n'"rm $PLACE_FOLDER/$name"; fi
        place_sftp >/dev/null <<<"put $1 $PLACE_FOLDER/$name.part$removal"$'\n'"rename $PLACE_FOLDER/$name.part $PLACE_FOLDER/$name"
    fi
}
# place_get NAME FILE
place_get() {
    if [ "$PLACE" = s3 ]; then
        place_rclone copyto "second:$PLACE_FOLDER/$1" "$2"
    else
        printf 'get %s %s\n' "$PLACE_FOLDER/$1" "$2" | place_sftp >/dev/null
    fi
}
# place_remove NAME…
place_remove() {
    local name
    for name; do
        if [ "$PLACE" = s3 ]; then
            place_rclone deletefile "second:$PLACE_FOLDER/$name"
        else
            printf 'rm %s\n' "$PLACE_FOLDER/$name" | place_sftp >/dev/null
        fi
    done
}

# whole_there <LIST: names of the backups whose manifest and database are there; the manifest is the last one to come
whole_there() { awk '{sizes[$2] = $1} END {for (file in sizes) if (sub(/[.]json$/, "", file) && (file ".database.sql.gz.age") in sizes) print file}' | LC_ALL=C sort -r; }

WHOLE_HERE='the backup here is whole, and the next run copies it'
# copy_out: what is here and not there yet, so that what a night without the second place owes is made up for; then the rule.
# A second place out of reach leaves the backup here good: that is another result.
copy_out() {
    local name file
    KIND=copy STEP="copy at the second place ($PLACE_WORDS)"
    say "backup: $STEP"
    look_there "$WHOLE_HERE"
    whole_there <"$WORK/second" >"$WORK/there"
    for name in $(whole_here | cat - "$WORK/there" | LC_ALL=C sort -u | owed); do
        for file in "$BACKUPS/$name".{database.sql.gz.age,files.tar.gz.age,json}; do
            if ! [ -e "$file" ]; then continue; fi
            if ! place_put "$file" 2>"$WORK/words"; then refuse "the second place ($PLACE_WORDS) did not take ${file##*/} (is it full?): $(place_said "$WORK/words"); $WHOLE_HERE"; fi
        done
    done
    look_there "$WHOLE_HERE"
    require_sizes
    prune_there
    note_result copy ok "$NAME"
}
# owed <NAMES: of those that the rule keeps, the ones that are here and not there
owed() {
    local name
    cat >"$WORK/both"
    # shellcheck disable=SC2086 # three numbers
    book drop $KEEP <"$WORK/both" >"$WORK/dropped"
    while read -r name; do
        if [ -e "$BACKUPS/$name.json" ] && ! grep -qxF "$name" "$WORK/there" "$WORK/dropped"; then printf '%s\n' "$name"; fi
    done <"$WORK/both"
}
# require_sizes: of the newest backup there is as much as here
require_sizes() {
    local file
    for file in "$BACKUPS/$NAME".*; do
        if ! grep -qxF "$(stat -c %s "$file") ${file##*/}" "$WORK/second"; then refuse "the second place ($PLACE_WORDS) has not all of ${file##*/}; $WHOLE_HERE"; fi
    done
}
prune_there() {
    local name file
    # shellcheck disable=SC2086 # three numbers
    whole_there <"$WORK/second" | book drop $KEEP >"$WORK/dropped"
    while read -r name; do
        say "backup: an old one is removed at the second place: $name"
        for file in "$name.json" "$name.database.sql.gz.age" "$name.files.tar.gz.age"; do
            if grep -q " $file\$" "$WORK/second"; then place_remove "$file"; fi
        done
    done <"$WORK/dropped"
    # what a cut connection left; nobody else writes here now
    while read -r name; do place_remove "$name"; done < <(awk '$2 ~ /^backup_.*[.]part$/ {print $2}' "$WORK/second")
}
