# What is made from the checkout: dependencies by Composer, assets by npm.

install_dependencies() {
    if unfinished vendor; then
        # Composer takes a package that it has begun to replace for the one that it was
        rm -rf "$ROOT/vendor"
    elif [ "$(dependencies_digest "$ROOT")" = "$(cat "$ROOT/vendor/.itqan-digest" 2>/dev/null)" ]; then
        return
    fi
    local file=composer.json
    if ! unfinished vendor; then keep vendor vendor; fi
    begin vendor
    if [ -e "$ROOT/$COMPOSER_FILE" ]; then file=$COMPOSER_FILE; fi
    (cd "$ROOT" && as "$DEPLOY_USER" env COMPOSER="$file" composer install --no-dev --optimize-autoloader --no-interaction --no-progress >&2)
    dependencies_digest "$ROOT" | as "$DEPLOY_USER" tee "$ROOT/vendor/.itqan-digest" >/dev/null
    finish vendor
}

build_assets() {
    if ! [ -e "$ROOT/package.json" ]; then return; fi
    if ! unfinished build && [ "$(assets_digest "$ROOT")" = "$(cat "$ROOT/public/build/.itqan-digest" 2>/dev/null)" ]; then return; fi
    if ! unfinished build; then keep build public/build; fi
    if [ -n "${SKIP_NPM-}" ]; then
        if ! [ -e "$ROOT/public/build" ]; then refuse "--skip-npm: there are no assets yet that could stay as they are"; fi
        say "release: assets stay as they are"
        assets_digest "$ROOT" | as "$DEPLOY_USER" tee "$ROOT/public/build/.itqan-digest" >/dev/null
        finish build
        return
    fi
    if [ "$KIND" = quick ]; then step 5 "npm run build"; fi
    begin build
    if [ "$(node_digest "$ROOT")" != "$(cat "$ROOT/node_modules/.itqan-digest" 2>/dev/null)" ]; then
        rm -f "$ROOT/node_modules/.itqan-digest"
        (cd "$ROOT" && as "$DEPLOY_USER" npm ci --no-audit --no-fund --no-progress --loglevel=error --no-update-notifier >&2)
        node_digest "$ROOT" | as "$DEPLOY_USER" tee "$ROOT/node_modules/.itqan-digest" >/dev/null
    fi
    (cd "$ROOT" && as "$DEPLOY_USER" npm run build --loglevel=error >&2)
    assets_digest "$ROOT" | as "$DEPLOY_USER" tee "$ROOT/public/build/.itqan-digest" >/dev/null
    finish build
}

# Composer and npm do not know of each other: both at once
dependencies_and_assets() {
    step "4 and 5" "composer install, npm ci and build"
    local composer=0
    install_dependencies &
    local job=$!
    build_assets
    wait "$job" || composer=$?
    if ((composer)); then refuse "composer install failed with exit code $composer: its words stand above"; fi
}
