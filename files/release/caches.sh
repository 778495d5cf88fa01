# The application's caches.

# A request never meets a half-written cache: each is made beside the one in use, and takes its place in one rename. The new
# configuration is as old as .env at first, so that it does not count (see probe_cached) before the workers have it, too.
# The names are Laravel's own (Application::getCachedConfigPath and getCachedRoutesPath).
cache_configuration() {
    local folder=bootstrap/cache what views=()
    if is_atomic; then
        as "$WEB_USER" mkdir -p "$(views_folder)"
        views=("VIEW_COMPILED_PATH=$(views_folder)")
    fi
    for what in config:cache route:cache; do
        (cd "$ROOT" && as "$WEB_USER" env "${views[@]}" APP_CONFIG_CACHE="$folder/config.next.php" APP_ROUTES_CACHE="$folder/routes.next.php" \
            "$PHP" artisan "$what" --no-interaction >&2)
    done
    (cd "$ROOT" && as "$WEB_USER" touch -r .env "$folder/config.next.php")
    mv -f "$ROOT/$folder/config.next.php" "$ROOT/$folder/config.php"
    mv -f "$ROOT/$folder/routes.next.php" "$ROOT/$folder/routes-v7.php"
}

cache_everything() {
    if ! is_atomic; then
        cache_beside make_views
        take_views
    elif compgen -G "$(views_folder)/*.php" >/dev/null; then
        cache_configuration # not where they are in use: view:cache clears them first
    elif [ "$ROOT" != "$RUNNING" ] && cmp -s "$RUNNING/config/view.php" "$ROOT/config/view.php" && has_own_views "$RUNNING"; then
        cache_beside make_own_views
    else
        cache_configuration
        if has_own_views "$ROOT"; then
            make_own_views
        else
            say "release: config/view.php does not read VIEW_COMPILED_PATH: all releases share compiled views, which are made when they are asked for"
        fi
    fi
}

# cache_beside COMMAND: the configuration, while the command makes the views
cache_beside() {
    local views status=0
    # its words stay together; by 3, who waits for the last of ours waits for its end (guarded)
    "$@" 3>&2 >/run/itqan-views.words 2>&1 &
    views=$!
    cache_configuration
    wait "$views" || status=$?
    cat /run/itqan-views.words >&2
    return "$status"
}

# Nor does a request meet a compiled view that is missing or half written: view:cache, which clears them all first, works in a folder
# beside those in use (make_views), and each takes its place in one rename (take_views). Laravel knows that folder by
# VIEW_COMPILED_PATH, as long as no cached configuration says another one; an application whose config/view.php does not read it
# has its views made where they are.
make_views() {
    local next=$ROOT/storage/framework/views.next
    # shellcheck disable=SC2016 # the inner shell's own words
    as "$WEB_USER" sh -c 'rm -rf "$1" && mkdir "$1" && touch "$1/.begun"' _ "$next"
    cache_views "$next"
}
cache_views() { (cd "$ROOT" && as "$WEB_USER" env VIEW_COMPILED_PATH="$1" APP_CONFIG_CACHE=bootstrap/cache/none.php "$PHP" artisan view:cache >&2); }
# what is older was compiled by the code of before
take_views() {
    local next=$ROOT/storage/framework/views.next
    date_views "$next"
    # shellcheck disable=SC2016 # the inner shell's own words
    as "$WEB_USER" sh -c 'mkdir -p "$2" && find "$1" -name "*.php" -exec mv -f -t "$2" {} + &&
        find "$2" -maxdepth 1 -type f -name "*.php" -not -newer "$1/.begun" -delete && rm -rf "$1"' _ "$next" "$ROOT/storage/framework/views"
}
# date_views FOLDER: younger than their templates, which a release has perhaps written in the same second: Laravel would compile each
# anew when it is asked for, while other requests read it
date_views() { as "$WEB_USER" find "$1" -name '*.php' -exec touch -d '1 second' {} +; }

# views_folder: where a release that runs beside others has its compiled views
views_folder() { printf '%s/bootstrap/cache/views\n' "$ROOT"; }
make_own_views() {
    local folder
    folder=$(views_folder)
    as "$WEB_USER" mkdir -p "$folder"
    cache_views "$folder"
    date_views "$folder"
}
# has_own_views FOLDER: whether the cached configuration of a release says that, as var_export writes it
has_own_views() { grep -qF "'compiled' => '$1/bootstrap/cache/views'," "$1/bootstrap/cache/config.php" 2>/dev/null; }

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
