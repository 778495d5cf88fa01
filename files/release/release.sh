# itqan-release: the release of the application, step by step as the server's document has it.
#   import PATH BRANCH   <stream   a bare repository from the input of git fast-import
#   clone                          the application's folder as a checkout of REPOSITORY
#   deploy REF COMMIT              the nine steps; only what changed is installed and built again
#   variables                      a digest of what .env says
#   seed                           the application's seeds, where a copy's new database waits for them
#   cache                          cache configuration and routes anew; workers restart
#   permissions                    the table "File Permissions"
# Reads /etc/itqan/release.conf. git, Composer and npm run as the deploy user, everything of the application
# as the web user, so that FPM, workers, scheduler and deploys write the same log.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022
cd / # root's own folder is closed to the users that the steps run as

artisan() { (cd "$ROOT" && as "$WEB_USER" "$PHP" artisan "$@") >&2; }
deploy_git() { as "$DEPLOY_USER" env GIT_SSH_COMMAND="$SSH_COMMAND" git -C "$ROOT" "$@"; }
installed() { [ -e "$ROOT/vendor/autoload.php" ]; }

# step NUMBER TEXT: named when it fails
step() {
    STEP="step $1, $2"
    say "release: $STEP"
}

# begin WHAT, finish WHAT: a mark in the checkout for what must not count as done when a run is killed in the middle of it
begin() { as "$DEPLOY_USER" touch "$ROOT/.git/itqan-$1"; }
finish() { rm -f "$ROOT/.git/itqan-$1"; }
unfinished() { [ -e "$ROOT/.git/itqan-$1" ]; }

# clear_locks REPOSITORY GIT-FOLDER: what a git that was killed left, its locks above all, which no git removes; not while
# one is at work there
clear_locks() {
    local left
    left=$(git_leftovers "$2")
    if [ -z "$left" ]; then return; fi
    if ! wait_until 60 no_git_in "$1"; then refuse "$1: git is at work there (\`pgrep -a git\`): wait for its end"; fi
    left=$(git_leftovers "$2")
    if [ -z "$left" ]; then return; fi
    say "release: a git that was killed left in $2: ${left//$'\n'/ }"
    (cd "$2" && xargs -r -d '\n' rm -f <<<"$left")
}
git_leftovers() { (cd "$1" 2>/dev/null && find . -type f \( -name '*.lock' -o -name 'tmp_obj_*' -o -name 'tmp_pack_*' -o -name 'tmp_idx_*' \)) || true; }
no_git_in() {
    local pid
    for pid in $(pgrep -x 'git.*' || true); do
        if [[ $(readlink "/proc/$pid/cwd" || true)/ = "$1"/* ]]; then return 1; fi
    done
}

import() {
    local path=$1 branch=$2
    mkdir -p "$path"
    chown "$DEPLOY_USER:$DEPLOY_USER" "$path"
    clear_locks "$path" "$path"
    # it begins with HEAD and ends with its configuration: a kill in between leaves what git does not take for a repository
    if ! [ -s "$path/config" ] || ! as "$DEPLOY_USER" git -C "$path" rev-parse -q --git-dir >/dev/null 2>&1; then
        as "$DEPLOY_USER" git init -q --bare -b "$branch" "$path"
    fi
    as "$DEPLOY_USER" git -C "$path" fast-import --quiet --force --done
}

# trust_repository: one that is a folder of this host may belong to somebody else (a copy's, of its Docker host), and git
# asks before it reads it; an option on the command line does not reach the git on the other side
trust_repository() {
    if ! [ -d "$REPOSITORY" ] || [ "$(stat -c %U "$REPOSITORY")" = "$DEPLOY_USER" ]; then return; fi
    as "$DEPLOY_USER" git config --global --replace-all safe.directory "$REPOSITORY" "^$REPOSITORY\$"
}

clone() {
    trust_repository
    if ! [ -e "$ROOT/.git" ] && [ -n "$(ls -A "$ROOT" 2>/dev/null)" ]; then
        refuse "$ROOT is neither empty nor a git checkout: move it away, or make it one"
    fi
    clear_locks "$ROOT" "$ROOT/.git"
    # step by step where `git clone` is one: each can be repeated after a kill
    if ! deploy_git rev-parse -q --git-dir >/dev/null 2>&1 || ! [ -s "$ROOT/.git/config" ]; then as "$DEPLOY_USER" git init -q "$ROOT"; fi
    deploy_git config remote.origin.url "$REPOSITORY"
    if ! deploy_git config remote.origin.fetch >/dev/null; then deploy_git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'; fi
    if ! deploy_git rev-parse -q --verify HEAD >/dev/null; then deploy_git fetch -q --tags origin; fi
    # the document's chmod -R 755 would otherwise mark every file as modified, and every later pull would refuse
    deploy_git config core.fileMode false
}

check() {
    step 1 "pre-deployment checks"
    if ! [ -s "$ROOT/.env" ]; then refuse "$ROOT/.env is missing"; fi
    if grep -qE '^APP_DEBUG="?(true|1)' "$ROOT/.env"; then refuse "APP_DEBUG is on in $ROOT/.env: turn it off"; fi
    local changed
    if deploy_git rev-parse -q --verify HEAD >/dev/null && [ -e "$ROOT/artisan" ]; then
        changed=$(deploy_git status --porcelain --untracked-files=no)
        if [ -n "$changed" ] && unfinished checkout; then
            say "release: a checkout was interrupted: going on with it; what differs is kept in /var/backups/itqan"
            install -d -m 700 /var/backups/itqan
            deploy_git diff --binary HEAD >"/var/backups/itqan/checkout.$(date +%Y%m%dT%H%M%S).patch"
        elif [ -n "$changed" ]; then
            refuse "$ROOT has local changes, which a release would throw away; commit, stash or revert them first:
$changed"
        fi
    fi
}

# fetch_commit REF COMMIT: before maintenance mode, so that a repository that does not answer costs nobody the site
fetch_commit() {
    step 3 "fetch $1"
    deploy_git fetch -q --tags origin
    if ! deploy_git cat-file -e "$2^{commit}" && ! deploy_git fetch -q origin "$2"; then
        refuse "commit $2 is no longer in the repository: $1 was pushed anew, or that commit is of no branch and no tag"
    fi
}

checkout() {
    local ref=$1 commit=$2 branch=$1
    step 3 "check out ${commit:0:12} of $ref"
    # what was committed here and is on no remote is kept under a name of its own
    if deploy_git rev-list -n 1 HEAD --not --remotes --tags 2>/dev/null | grep -q .; then
        deploy_git update-ref "refs/itqan/before/$(date +%s)" HEAD
        say "release: commits that are on no remote stay under refs/itqan/before"
    fi
    begin checkout
    if deploy_git show-ref -q --verify "refs/remotes/origin/$branch"; then
        deploy_git checkout -q -f -B "$branch" "$commit"
        deploy_git branch -q --set-upstream-to="origin/$branch"
    else
        deploy_git checkout -q -f --detach "$commit"
    fi
    finish checkout
}

install_dependencies() {
    if unfinished vendor; then
        # Composer takes a package that it has begun to replace for the one that it was
        rm -rf "$ROOT/vendor"
    elif [ "$(dependencies_digest "$ROOT")" = "$(cat "$ROOT/vendor/.itqan-digest" 2>/dev/null)" ]; then
        return
    fi
    local file=composer.json
    begin vendor
    if [ -e "$ROOT/$COMPOSER_FILE" ]; then file=$COMPOSER_FILE; fi
    (cd "$ROOT" && as "$DEPLOY_USER" env COMPOSER="$file" composer install --no-dev --optimize-autoloader --no-interaction --no-progress >&2)
    dependencies_digest "$ROOT" | as "$DEPLOY_USER" tee "$ROOT/vendor/.itqan-digest" >/dev/null
    finish vendor
}

build_assets() {
    if ! [ -e "$ROOT/package.json" ]; then return; fi
    if ! unfinished build && [ "$(assets_digest "$ROOT")" = "$(cat "$ROOT/public/build/.itqan-digest" 2>/dev/null)" ]; then return; fi
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

permissions() {
    local path skip=()
    for path in $WRITABLE_PATHS; do skip+=(-o -path "$ROOT/$path"); done
    chown -R "$APPLICATION_OWNER" "$ROOT"
    find "$ROOT" \( -path "$ROOT/node_modules" -o -path "$ROOT/.git" -o -type l "${skip[@]}" \) -prune -o -not -perm "$APPLICATION_MODE" \
        -not -path "$ROOT/.env" -exec chmod "$APPLICATION_MODE" {} +
    for path in $WRITABLE_PATHS; do
        mkdir -p "$ROOT/$path"
        chown -R "$WRITABLE_OWNER" "$ROOT/$path"
        chmod -R "$WRITABLE_MODE" "$ROOT/$path"
    done
    # every PHP process is the web user's; whoever else runs artisan by hand finds a log that the group may write
    if ! [ -e "$ROOT/storage/logs/laravel.log" ]; then install -o "$WEB_USER" -g "$WEB_USER" -m 664 /dev/null "$ROOT/storage/logs/laravel.log"; fi
    # the web user can put links there: none is followed
    find "$ROOT/storage/logs" -maxdepth 1 -name '*.log' -type f -exec chown -h "$WEB_USER:$WEB_USER" {} +
    as "$WEB_USER" find "$ROOT/storage/logs" -maxdepth 1 -name '*.log' -type f -user "$WEB_USER" -exec chmod 664 {} +
}

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
    (cd "$ROOT" && as "$WEB_USER" touch -c bootstrap/cache/config.php)
}

# is_released COMMIT: all of it is there and nothing is to migrate, so that only caches can be missing
is_released() {
    local state line
    state=$(set +e; probe_release "$ROOT" "$COMPOSER_FILE")
    for line in "commit $1" "changes none" "vendor current" "build current" "maintenance off"; do
        if ! grep -qxF "$line" <<<"$state"; then return 1; fi
    done
    state=$(cd "$ROOT" && as "$WEB_USER" "$PHP" artisan migrate:status 2>/dev/null) && ! grep -qwi pending <<<"$state"
}

deploy() {
    local ref=$1 commit=$2
    clear_locks "$ROOT" "$ROOT/.git"
    check
    if is_released "$commit"; then
        # no maintenance mode: the code that runs is the wanted one
        step 7 "clear and cache configuration, routes, views"
        cache_everything
        restart_workers
        return
    fi
    fetch_commit "$ref" "$commit"
    if installed; then
        step 2 "maintenance mode on"
        # rendered now: the page needs no vendor/, which Composer is about to change
        artisan down --retry=15 --render=errors::503 || artisan down --retry=15 \
            || say "release: the installed code does not start: going on without maintenance mode"
    fi
    checkout "$ref" "$commit"
    dependencies_and_assets
    permissions_step
    step 6 "migrate"
    note_seeds
    artisan migrate --force
    if [ -e /etc/itqan/seeds-due ]; then seed; fi
    step 7 "clear and cache configuration, routes, views"
    cache_everything
    step 8 "queue:restart"
    restart_workers
    step 9 "maintenance mode off"
    artisan up
}

# note_seeds: a database without any table is new, so its seeds are due; kept as a file, for a run may be killed in between
note_seeds() {
    if [ "${SEEDS-no}" = yes ] && [ "$(probe_data "$DATABASE")" = "data of $DATABASE none" ]; then : >/etc/itqan/seeds-due; fi
}

seed() {
    STEP="seed the database"
    if [ -e "$ROOT/database/seeders/DatabaseSeeder.php" ]; then
        artisan db:seed --force --no-interaction
    else
        say "release: this application has no database/seeders/DatabaseSeeder.php: nothing to seed"
    fi
    rm -f /etc/itqan/seeds-due
}

permissions_step() {
    STEP="file permissions"
    local mode
    mode=$(stat -c '%U:%G %a' "$ROOT/.env")
    permissions
    chown "${mode% *}" "$ROOT/.env"
}

# variables: a digest of what .env says, as the application's own library reads it; empty when it cannot
variables() {
    # shellcheck disable=SC2016
    (cd "$ROOT" && as "$WEB_USER" "$PHP" -r 'require "vendor/autoload.php"; $all = Dotenv\Dotenv::parse(file_get_contents(".env"));
        ksort($all); echo hash("sha256", json_encode($all, JSON_THROW_ON_ERROR));' 2>/dev/null) || true
}

cache() {
    if ! installed; then return; fi
    STEP="cache the configuration"
    cache_configuration
    restart_workers
}

# shellcheck source=/dev/null
. /etc/itqan/release.conf
STEP="start"
# EXIT and not ERR: a trap for ERR does not see what fails inside a function
trap 'if (($?)); then say "itqan: release: failed in $STEP; maintenance mode stays as it is, run the release again after the cause is gone"; fi' EXIT
exec 8>/run/lock/itqan-release-tool.lock
if ! flock -w 900 8; then refuse "another release runs"; fi
case ${1-} in
    import) import "$2" "$3" ;;
    clone) clone ;;
    deploy) deploy "$2" "$3" ;;
    seed) seed ;;
    cache) cache ;;
    variables) variables ;;
    permissions) permissions_step ;;
    *) refuse "usage: itqan-release import|clone|deploy|seed|variables|cache|permissions" ;;
esac
