# ROOT: the newest error in the application's log, and the newest one of PHP in nginx's: when, and its first line. What the
# application asked the database stays in the log: it may be somebody's data.
log=$(find "$1/storage/logs" -maxdepth 1 -name 'laravel*.log' -type f -printf '%T@ %p\n' 2>/dev/null | sort -n | tail -n 1 | cut -d' ' -f2-)
if [ -n "$log" ]; then
    printf 'file %s\n' "$log"
    tail -c 300000 "$log" | grep -aE '^\[[^]]+\] [a-z]+\.(ERROR|CRITICAL|ALERT|EMERGENCY): ' | tail -n 1 \
        | sed -E 's/ \((Connection|SQL): .*//; s/ \{"(exception|userId).*//' | cut -c 1-300 | sed 's/^/error /'
fi
tail -c 300000 /var/log/nginx/error.log 2>/dev/null | grep -aoE '^[0-9/]+ [0-9:]+|PHP (Fatal|Parse) error: .*' | grep -a -B 1 '^PHP ' \
    | tail -n 2 | tr '\n' ' ' | cut -c 1-300 | sed 's/^\(.\{1,\}\)$/php \1/'
