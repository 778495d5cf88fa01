# HOW ROOT LOG: when the scheduler of the application in ROOT was last started. Of cron its own line in the journal says so;
# `schedule:work` writes what each run said to its log, also that there was nothing to do.
printf 'now %(%s)T\n' -1
case $1 in
    cron)
        at=$(journalctl -q -t CRON --since '-1 hour' -o short-unix --no-pager -r 2>/dev/null \
            | grep -m 1 -E -- "CMD \(.*$2.* schedule:run" | cut -d. -f1)
        ;;
    supervisor) at=$(stat -c %Y "$2/$3" 2>/dev/null) ;;
esac
printf 'ran %s\n' "${at:-never}"
