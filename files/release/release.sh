# itqan-release: the release of the application, step by step as the server's document has it.
#   import PATH BRANCH   <stream   a bare repository from the input of git fast-import
#   key                            a key that reads the repository, made here
#   clone                          the application's folder as a checkout of REPOSITORY
#   deploy REF COMMIT [OPTION…]    the nine steps, or quickly; only what changed is installed and built again
#       --quick, --full            which of the two, instead of what the differences say
#       --skip-npm                 the assets that are there are right
#       --fresh                    DANGER: all tables are dropped and made anew; refused in production
#   pull [OPTION…]                 by hand: the newest commit of the ref that the stack asks for
#   variables                      a digest of what .env says
#   seed                           the application's seeds, where a copy's new database waits for them
#   cache                          cache configuration and routes anew; workers restart
#   permissions                    the table "File Permissions"
#   layout atomic|in-place         by which strategy releases come
#   workers                        those that still have the code of an earlier release start anew
#   restore FILE                   the database from a backup, where a failed release cannot be taken back
#   accept                         the database stays as such a release left it
# Reads /etc/itqan/release.conf. git, Composer and npm run as the deploy user, everything of the application
# as the web user, so that FPM, workers, scheduler and deploys write the same log.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022
cd / # root's own folder is closed to the users that the steps run as

# is_cached: nothing is missing to what runs, and no process is of an earlier release
is_cached() {
    [[ $(set +e; probe_release "$ROOT" "$COMPOSER_FILE"; probe_cached "$ROOT"; probe_workers "$WEB_USER" "$SITE") = *$'\n'"caches config routes views"$'\n'*"environment cached"*"release none" ]]
}

# is_released COMMIT: all of it is there and nothing is to migrate, so that only caches can be missing
is_released() {
    local state line
    if [ "$FROM" != "$1" ]; then return 1; fi
    state=$(set +e; probe_release "$ROOT" "$COMPOSER_FILE")
    for line in "commit $1" "changes none" "vendor current" "build current" "maintenance off"; do
        if ! grep -qxF "$line" <<<"$state"; then return 1; fi
    done
    state=$(cd "$ROOT" && as "$WEB_USER" "$PHP" artisan migrate:status 2>/dev/null) && ! grep -qwi pending <<<"$state"
}

deploy() {
    local ref=$1 commit=$2
    shift 2
    clear_locks "$ROOT" "$ROOT/.git"
    settle
    begin_log "$ref" "$commit"
    check
    if (($# == 0)) && is_released "$commit"; then
        if is_cached; then
            say "release: ${commit:0:12} runs already: nothing to do"
            return
        fi
        # no maintenance mode: the code that runs is the wanted one
        KIND=caches
        renew
        log_release released
        return
    fi
    fetch_commit "$ref" "$commit"
    check_wanted "$commit"
    plan "$commit" "$@"
    begin_undo
    guarded "release_$KIND" "$ref" "$commit"
}

# release_full REF COMMIT: steps 2 to 9
release_full() {
    if is_atomic; then begin_folder "$2"; elif installed; then maintenance_on; fi
    checkout "$1" "$2"
    dependencies_and_assets
    permissions_step
    migrate
    renew
    step 9 "maintenance mode off"
    if ! is_atomic || [ -e "$ROOT/storage/framework/down" ]; then artisan up; fi
    end_release
}

# release_quick REF COMMIT: code, caches, workers. Assets are built where a template changed: Tailwind reads them.
release_quick() {
    if is_atomic; then begin_folder "$2"; fi
    checkout "$1" "$2"
    build_assets
    if is_atomic; then permissions_step; else permissions_of_changed "$FROM" "$2"; fi
    renew
    end_release
}

renew() {
    step 7 "clear and cache configuration, routes, views"
    cache_everything
    if [ "$ROOT" != "$RUNNING" ]; then
        step 8 "switch to ${ROOT##*/}, queue:restart"
        bring_shared "$FROM" "$COMMIT"
        go_live
    else
        step 8 "queue:restart"
    fi
    restart_workers
}

end_release() {
    note STEP ended
    log_release released
    forget_undo
    deploy_git update-index -q --refresh || true # the permissions have touched every file: git need not look into them again
    prune_folders || say "release: earlier releases were not removed: see above"
}

maintenance_on() {
    step 2 "maintenance mode on"
    # rendered now: the page needs no vendor/, which Composer is about to change
    if artisan down --retry=15 --render=errors::503 || artisan down --retry=15; then
        let_ourselves_in
    else
        say "release: the installed code does not start: going on without maintenance mode"
    fi
}

# end_of_run STATUS: what failed before anything was touched, or in taking a release back
end_of_run() {
    if ! (($1)) || [ -n "$TOLD" ]; then return; fi
    if is_begun; then
        say "itqan: release: stopped in $STEP; the next run begins there"
    else
        say "itqan: release: failed in $STEP; maintenance mode stays as it is, run the release again after the cause is gone"
        if [ -n "${COMMIT-}" ]; then log_release failed "$STEP"; fi
    fi
}

# shellcheck source=/dev/null
. /etc/itqan/release.conf
STEP="start"
TOLD=''
SITE=$ROOT
FOLDERS=$(folders_of "$SITE")
CLIENT_FILE=/etc/itqan/database.cnf
RELEASES=/var/log/itqan/releases.jsonl
know_accounts "$DEPLOY_USER" "$WEB_USER"
# EXIT and not ERR: a trap for ERR does not see what fails inside a function
trap 'end_of_run $?' EXIT
if [ "${1-}" = pull ]; then outlive "$@"; fi
take_lock
find_folders
case ${1-} in
    import) import "$2" "$3" ;;
    key) key ;;
    clone) clone ;;
    deploy) deploy "${@:2}" ;;
    pull) pull "${@:2}" ;;
    seed) seed ;;
    cache) cache ;;
    variables) variables ;;
    permissions) permissions_step ;;
    layout) layout "$2" ;;
    workers) workers ;;
    restore) restore "$2" ;;
    accept) accept ;;
    *) refuse "usage: itqan-release import|key|clone|deploy|pull|seed|variables|cache|permissions|layout|workers|restore|accept" ;;
esac
