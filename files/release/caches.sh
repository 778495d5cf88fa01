# The application's caches, and the processes that have read them.

# A request never meets a half-written cache: each is made beside the one in use, and takes its place in one rename. The new
# configuration is as old as .env at first, so that it does not count (see probe_cached) before the workers have it, too.
# The names are Laravel's own (Application::getCachedConfigPath and getCachedRoutesPath).
cache_configuration() {
    local folder=bootstrap/cache what
    for what in config:cache route:cache; do
        (cd "$ROOT" && as "$WEB_USER" env APP_CONFIG_CACHE="$folder/config.next.php" APP_ROUTES_CACHE="$folder/routes.next.php" \
            "$PHP" artisan "$what" --no-interaction >&2)
    done
    (cd "$ROOT" && as "$WEB_USER" touch -r .env "$folder/config.next.php")
    mv -f "$ROOT/$folder/config.next.php" "$ROOT/$folder/config.php"
    mv -f "$ROOT/$folder/routes.next.php" "$ROOT/$folder/routes-v7.php"
}

cache_everything() {
    cache_configuration
    artisan view:clear
    artisan view:cache
}

restart_workers() {
    artisan queue:restart
    artisan reverb:restart || say "release: this application has no reverb:restart; Reverb keeps the code it has"
    end_workers
    (cd "$ROOT" && as "$WEB_USER" touch -c bootstrap/cache/config.php)
}

# end_workers: those that run are told to end as well, after the job that they are at. They look for the two words above when
# they have slept, Reverb every five seconds, and go on with the old code until then. Supervisor starts them again.
# As the web user: where root lacks CAP_SYS_PTRACE, as in a container, it may not see where another user's process is.
end_workers() {
    # shellcheck disable=SC2016 # the inner shell's own words
    as "$WEB_USER" bash -c '
        for pid in $(pgrep -u "$(id -u)" -f " [a]rtisan (queue:work|reverb:start|schedule:work)"); do
            if [ "$(readlink "/proc/$pid/cwd")" = "$1" ]; then kill -TERM "$pid"; fi
        done' _ "$ROOT" 2>/dev/null || true
}

# variables: a digest of what .env says, as the application's own library reads it; empty when it cannot
variables() {
    # shellcheck disable=SC2016
    (cd "$ROOT" && as "$WEB_USER" "$PHP" -r 'require "vendor/autoload.php"; $all = Dotenv\Dotenv::parse(file_get_contents(".env"));
        ksort($all); echo hash("sha256", json_encode($all, JSON_THROW_ON_ERROR));' 2>/dev/null) || true
}

cache() {
    settle
    if ! installed; then return; fi
    STEP="cache the configuration"
    cache_configuration
    restart_workers
}
