# A whole backup to read from: here, as it was received, or fetched from the second place.

# obtain NAME [second]: sets FOUND to the folder that has it, every byte as it was written; `second`: as the second place has it
obtain() {
    local wrong folder
    STEP="looking for $1"
    if ! [[ $1 =~ ^backup_[0-9]{8}T[0-9]{6}Z_[0-9a-f]{12}$ ]]; then refuse "$1 is no name of a backup: ./itqan backup list"; fi
    for folder in "$STATE/received" "$BACKUPS"; do
        if [ "${2-}" = second ] || ! [ -e "$folder/$1.json" ]; then continue; fi
        wrong=$(book check "$folder" "$1")
        if [ -z "$wrong" ]; then
            FOUND=$folder
            return
        fi
        say "backup: ${wrong//$'\n'/; }"
    done
    if [ -z "$PLACE" ]; then damaged "${wrong:-$BACKUPS/$1.json is not there}; nothing was changed; there is no second place: ./itqan backup list has the others"; fi
    fetch_backup "$1"
}
# fetch_backup NAME: from the second place; what was fetched whole before is not fetched again. What is here, root and the deploy
# user wrote; there, anybody may have who has that account: its manifest has to have our MAC.
fetch_backup() {
    local file wrong
    FOUND=$STATE/fetched
    install -d -m 700 "$FOUND"
    find "$FOUND" -type f -not -name "$1.*" -delete
    if [ -e "$FOUND/$1.json" ] && [ -z "$(book check "$FOUND" "$1" "$MAC")" ]; then return; fi
    STEP="fetching $1 from the second place ($PLACE_WORDS)"
    say "backup: $1 comes from the second place ($PLACE_WORDS)"
    look_there "nothing was changed"
    require_room "$FOUND" "$(awk -v name="$1." 'index($2, name) == 1 {sum += $1} END {print int(sum / 1024) + 51200}' "$WORK/second")" "what comes from the second place"
    awk -v name="$1." 'index($2, name) == 1 && $2 !~ /part$/ {print $2}' "$WORK/second" | while read -r file; do place_get "$file" "$FOUND/$file"; done
    wrong=$(book check "$FOUND" "$1" "$MAC")
    if [ -n "$wrong" ]; then damaged "${wrong//$'\n'/; }: the second place ($PLACE_WORDS) has no whole $1 either; nothing was changed"; fi
}

part_file() { printf '%s/%s\n' "$FOUND" "$(book value "$FOUND/$NAME.json" "$1.sealed.file")"; }
parts_of() {
    local kind
    for kind in database files; do if [ -n "$(book value "$FOUND/$NAME.json" "$kind.sealed.file")" ]; then printf '%s\n' "$kind"; fi; done
}

# headers NAME [second]: a line `manifest BASE64`, then `header KIND BASE64` for each part: its first 16 kilobytes
headers() {
    local kind
    NAME=$1
    obtain "$@"
    printf 'manifest %s\n' "$(base64 -w0 <"$FOUND/$NAME.json")"
    for kind in $(parts_of); do printf 'header %s %s\n' "$kind" "$(head -c 16384 "$(part_file "$kind")" | base64 -w0)"; done
}

# send NAME [second]
send() {
    NAME=$1
    obtain "$@"
    (cd "$FOUND" && tar --owner=0 --group=0 -cf - "$NAME".*)
    rm -rf "$STATE/fetched" # it has left: this host has its own
}
# receive <ARCHIVE
receive() {
    STEP="receiving a backup"
    rm -rf "$STATE/received"
    install -d -m 700 "$STATE/received"
    tar -C "$STATE/received" --no-same-owner --no-same-permissions --wildcards -xf - 'backup_*'
}
