# HOW ROOT LOG: when the scheduler of the application in ROOT was last started. Of cron its own line in the journal says so, and the
# last crontab since when it could; `schedule:work` writes what each run said to its log, also that there was nothing to do.
printf -v now '%(%s)T' -1
printf 'now %s\n' "$now"
case $1 in
    cron)
        at=$(journalctl -q -t CRON --since '-1 hour' -o short-unix --no-pager -r 2>/dev/null \
            | grep -m 1 -E -- "CMD \(.*$2.* schedule:run" | cut -d. -f1)
        age=$(ps -o etimes= -C cron 2>/dev/null | sort -rn | head -n 1)
        if [ -n "$age" ]; then # else none runs: since ever
            { echo $((now - age)); stat -c %Y /var/spool/cron/crontabs 2>/dev/null; } | sort -n | sed -n '$s/^/since /p'
        else
            echo 'since 0'
        fi
        ;;
    supervisor) at=$(stat -c %Y "$2/$3" 2>/dev/null) ;;
esac
printf 'ran %s\n' "${at:-never}"
