# ROOT HOME BACKUPS: the file systems of what runs and of what can be removed, and their device numbers; the size and number of
# the latter by kind and device; sizes of what only a person may judge, and of files that are deleted and still open
places=(/ "$1" "$1"/storage{,/app,/logs} "$3" "$2" /var/lib/mysql /var/lib/redis /var/log /var/cache/apt/archives /tmp /var/tmp)
df --output=target,size,avail,itotal,iavail -B1 -- "${places[@]}" 2>/dev/null | tail -n +2 | LC_ALL=C sort -u | sed 's/^/filesystem /'
df --output=target -- "${places[@]}" 2>/dev/null | tail -n +2 | LC_ALL=C sort -u | xargs -r stat -c 'device %d %n'
{
    for kind in apt composer npm logs git; do garbage "$kind" "$1" "$2" -printf "$kind %D %b\n"; done
    find /var/log/journal -xdev -type f -printf 'journal %D %b\n' 2>/dev/null
} | awk '{blocks[$1 " " $2] += $3; files[$1 " " $2]++} END {for (kind in files) printf "garbage %s %.0f %d\n", kind, blocks[kind] * 512, files[kind]}'
for folder in "$3" /var/lib/mysql "$1/storage/app" "$1/storage/logs" /var/log /var/backups/itqan; do
    timeout 5 du -sxB1 "$folder" 2>/dev/null | awk '{print "candidate", $1, $2}' &
done
wait
find /proc/[0-9]*/fd -maxdepth 1 -lname '/*(deleted)' -printf '%p %l\n' 2>/dev/null | while read -r path name; do
    bytes=$(stat -L -c %s "$path" 2>/dev/null) || continue
    if ((bytes > 10000000)); then
        pid=${path#/proc/}
        printf 'held %s %s %s\n' "$bytes" "${pid%%/*}" "${name% (deleted)}"
    fi
done | sort -rnu -k 2 | head -n 3
