# ROOT: whether a release is under way, by the tool's lock and the journal of what it would take back; one that has the second
# without the first died
for folder in "$1/.git/itqan-undo" "$(folders_of "$1")/undo"; do
    if ! [ -s "$folder/journal" ]; then continue; fi
    lock=/run/lock/itqan-release-tool.lock
    if [ -e "$lock" ] && ! flock -n -s "$lock" true; then printf 'release running\n'; else printf 'release left\n'; fi
    for key in STEP BY; do printf '%s %s\n' "$key" "$(sed -n "s/^$key //p" "$folder/journal" | tail -n 1)"; done
    exit 0
done
printf 'release none\n'
