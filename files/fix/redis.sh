# HOST PORT: whether Redis answers, its memory against its limit, what its file says of that, whether it could save; and of one
# that is nearly full, what a thousand keys of each database are
redis_limit() { sed -nE 's/^maxmemory +([^ ]+).*/\1/p' /etc/redis/redis.conf /etc/redis/itqan.conf 2>/dev/null | tail -n 1; }
number() { sed -nE "s/^$1:([^\r]*)\r?$/\1/p" <<<"$info"; }
if ! timeout 5 redis-cli -h "$1" -p "$2" ping 2>/dev/null | grep -qE '^(PONG|NOAUTH)'; then
    printf 'answer none\n'
    exit 0
fi
info=$(ask_redis "$1" "$2" info)
if [ -z "$info" ]; then
    printf 'answer refused\n'
    exit 0
fi
printf 'answer ok\n'
printf 'used %s\nmost %s\npolicy %s\nsaved %s\n' "$(number used_memory)" "$(number maxmemory)" "$(number maxmemory_policy)" "$(number rdb_last_bgsave_status)"
printf 'file %s\n' "$(redis_limit)"
if (($(number maxmemory) == 0 || $(number used_memory) * 100 < $(number maxmemory) * 95)); then exit 0; fi
sed -nE 's/^db([0-9]+):.*/\1/p' <<<"$info" | while read -r base; do
    ask_redis "$1" "$2" "select $base"$'\n'"scan 0 count 1000" </dev/null | tail -n +3 | sed -E 's/^([^:]*:[^:]{0,40}).*/\1/; s/[0-9A-Za-z]{20,}/…/g' \
        | LC_ALL=C sort | uniq -c | sort -rn | head -n 4 | while read -r count kind; do printf 'kind %s %s %s\n' "$base" "$count" "$kind"; done
done
