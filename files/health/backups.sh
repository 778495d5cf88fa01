# FOLDER: the newest backup, or else the newest dump that somebody made: when it was written, its size in bytes, its name; then
# what became of the last run, copy, restore and test: when, state, words
printf 'now %(%s)T\n' -1
newest=$(find "$1" -maxdepth 1 -name 'backup_*.json' -printf '%f\n' 2>/dev/null | LC_ALL=C sort | tail -n 1)
if [ -n "$newest" ]; then
    find "$1" -maxdepth 1 -name "${newest%.json}.database.sql.gz.age" -printf 'backup %T@ %s %f\n'
else
    find "$1" -maxdepth 2 -type f -name '*.sql*' -size +0 -printf 'backup %T@ %s %f\n' 2>/dev/null | sort -k 2 -n | tail -n 1
fi
for kind in make copy restore verify; do
    if [ -s "/var/lib/itqan/backup/$kind" ]; then printf 'result %s %s\n' "$kind" "$(cat "/var/lib/itqan/backup/$kind")"; fi
done
if grep -qs '^CLOSED' /var/lib/itqan/backup/restoring; then echo restoring; fi
