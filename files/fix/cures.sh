# What steps of runbooks do on the host, after the runner's library.

# resume PATTERN: processes that a signal has stopped go on
resume() { pkill -CONT -f "^$1"; }

# restart_program NAME PATIENCE: Supervisor restarts a program; a process that has not ended after PATIENCE seconds is killed,
# and its job is tried again as one that a worker died of
restart_program() {
    local before restarting
    before=$(supervisorctl status "$1:*" 2>/dev/null | sed -nE 's/.* pid ([0-9]+),.*/\1/p' | tr '\n' ' ' || true)
    supervisorctl restart "$1:*" >&2 &
    restarting=$!
    # shellcheck disable=SC2086
    if [ -n "$before" ] && ! wait_until "$2" all_gone $before; then
        say "$1: not ended after $2 s: killed"
        kill -KILL $before 2>/dev/null || true
    fi
    wait "$restarting"
}

# end_orphans: processes of Reverb that Supervisor did not start
end_orphans() {
    local supervisor pid
    supervisor=$(systemctl show -p MainPID --value supervisor)
    for pid in $(pgrep -f '^[^ ]*php[^ ]* artisan reverb:start'); do
        if [ "$(ps -o ppid= -p "$pid" | tr -d ' ')" = "$supervisor" ]; then continue; fi
        kill -CONT "$pid"
        kill -TERM "$pid"
        if ! wait_until 5 all_gone "$pid"; then kill -KILL "$pid"; fi
    done
}

# clear_caches USER PHP ROOT: the document's four words. A broken cache keeps artisan itself from starting: then what they
# remove is removed, files that are made again from the code and .env.
clear_caches() {
    cd "$3"
    if ! as "$1" "$2" artisan config:clear >/dev/null 2>&1; then
        say 'artisan does not start: the cached files are removed by hand'
        as "$1" rm -f bootstrap/cache/{config,services,packages,events,routes-v7}.php
        as "$1" "$2" artisan config:clear >&2
    fi
    clear_application_cache "$@"
    as "$1" "$2" artisan route:clear >&2
    as "$1" "$2" artisan view:clear >&2
}

# clear_application_cache USER PHP ROOT: cache:clear empties the whole database of Redis that the cache is in, so it is left
# out where jobs or sessions are in the same one
clear_application_cache() {
    cd "$3"
    if cache_is_apart "$@"; then
        as "$1" "$2" artisan cache:clear >&2
    else
        say 'cache:clear is left out: it empties the database of Redis that jobs or sessions are in, too'
    fi
}
cache_is_apart() {
    # shellcheck disable=SC2016
    as "$1" "$2" -r '
        require "vendor/autoload.php";
        $app = require "bootstrap/app.php";
        $app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();
        $place = function (?string $name): array {
            $of = config("database.redis." . ($name ?? "default")) ?? [];
            return [$of["url"] ?? "", $of["host"] ?? "", (string) ($of["port"] ?? 6379), (string) ($of["database"] ?? 0)];
        };
        $store = config("cache.stores." . config("cache.default"));
        if (($store["driver"] ?? "") !== "redis") exit(0);
        $kept = config("session.driver") === "redis" ? [$place(config("session.connection"))] : [];
        foreach (config("queue.connections") as $queue) {
            if (($queue["driver"] ?? "") === "redis") $kept[] = $place($queue["connection"] ?? null);
        }
        exit(in_array($place($store["connection"] ?? null), $kept, true) ? 1 : 0);' >&2
}

# rebuild_caches USER PHP ROOT: configuration and routes take their places in one rename, and workers end after their job
rebuild_caches() {
    /usr/local/sbin/itqan-release cache >&2
    cd "$3"
    as "$1" "$2" artisan view:cache >&2
}

# set_redis HOST PORT NAME VALUE: until Redis starts anew
set_redis() { [ "$(ask_redis "$1" "$2" config set "$3" "$4")" = OK ]; }

# restore_redis_limit HOST PORT: maxmemory as its files have it, without which there is none
restore_redis_limit() {
    local limit
    limit=$(sed -nE 's/^maxmemory +([^ ]+).*/\1/p' /etc/redis/redis.conf /etc/redis/itqan.conf 2>/dev/null | tail -n 1 || true)
    set_redis "$1" "$2" maxmemory "${limit:-0}"
}

# raise_redis HOST PORT: a quarter more than is used, if the host has twice that free
raise_redis() {
    local used free more
    used=$(ask_redis "$1" "$2" info memory | sed -nE 's/^used_memory:([0-9]+).*/\1/p')
    free=$(awk '/^MemAvailable:/ {print $2 * 1024}' /proc/meminfo)
    more=$((used / 4 + 16000000))
    if ((free < 2 * more)); then refuse "Redis gets no more memory: the host has only $((free / 1000000)) MB left"; fi
    set_redis "$1" "$2" maxmemory $((used + more))
}
