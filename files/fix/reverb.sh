# PORT: who listens there, and processes of Reverb that Supervisor did not start
supervisor=$(systemctl show -p MainPID --value supervisor 2>/dev/null)
for pid in $(pgrep -f '^[^ ]*php[^ ]* artisan reverb:start'); do
    if [ "$(ps -o ppid= -p "$pid" | tr -d ' ')" != "$supervisor" ]; then printf 'orphan %s\n' "$pid"; fi
done
ss -Hltnp "sport = :$1" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]*)",pid=([0-9]+).*/listens \2 \1/p' | head -n 1
if [ -n "$(ss -Hltn "sport = :$1" 2>/dev/null)" ]; then printf 'port taken\n'; else printf 'port free\n'; fi
