# Step 1: what is wrong with the host, the checkout or the wanted commit is said before anything is touched.

# check: what can be seen before the commit is fetched
check() {
    step 1 "pre-deployment checks"
    check_data
    check_environment
    check_changes
}

# check_data: half of the data that were to come is nothing that anybody may see
check_data() {
    if [ -e "/etc/itqan/loading-$DATABASE" ]; then
        refuse "the data of this copy did not come to their end, and its application stays stopped: \`./itqan branch up BRANCH --data STACK\` begins anew"
    fi
}

check_environment() {
    if ! [ -s "$ROOT/.env" ]; then refuse "$ROOT/.env is missing"; fi
    if grep -qE '^APP_DEBUG="?(true|1)' "$ROOT/.env"; then refuse "APP_DEBUG is on in $ROOT/.env: turn it off"; fi
    if [ -n "$(find "$ROOT/.env" -perm -o+w)" ]; then refuse "$ROOT/.env may be changed by every user of this host: chmod o-w $ROOT/.env"; fi
}

check_changes() {
    local changed
    if [ -z "$FROM" ] || ! [ -e "$ROOT/artisan" ]; then return; fi
    changed=$(deploy_git status --porcelain --untracked-files=no)
    if [ -z "$changed" ]; then return; fi
    if ! unfinished checkout; then
        refuse "$ROOT has local changes, which a release would throw away; commit, stash or revert them first:
$changed"
    fi
    say "release: a checkout was interrupted: going on with it; what differs is kept in /var/backups/itqan"
    install -d -m 700 /var/backups/itqan
    deploy_git diff --binary HEAD >"/var/backups/itqan/checkout.$(date +%Y%m%dT%H%M%S).patch"
}

# check_wanted COMMIT: what can be seen of a commit that is fetched and not checked out; PENDING are its migrations, DEPENDENCIES and
# BUILT the digests of what its dependencies and assets are made from
check_wanted() {
    step 1 "checks of ${1:0:12}"
    if deploy_git cat-file -e "$1:.env" 2>/dev/null; then
        refuse "commit $1 has a file .env, which would replace this host's: take it out of the repository; its secrets were in plain sight"
    fi
    DEPENDENCIES=$(dependencies_digest "$ROOT" "$1") BUILT=$(assets_digest "$ROOT" "$1")
    check_contents "$1"
    check_files_in_the_way "$1"
    check_platform "$1"
    check_database
    PENDING=$(pending_of "$1")
    tell_migrations "$1"
    tell_unknown_migrations "$1"
    check_space "$1"
}

# check_files_in_the_way COMMIT: git's checkout replaces files that it does not know without a word
check_files_in_the_way() {
    local path found=''
    while IFS= read -r -d '' path; do
        if ! [ -e "$ROOT/$path" ] && ! [ -L "$ROOT/$path" ]; then continue; fi
        if is_rendered "$path"; then continue; fi
        if [ "$(deploy_git hash-object -- "$path" 2>/dev/null)" = "$(deploy_git rev-parse -q --verify "$1:$path")" ]; then continue; fi
        found+=$'\n'"$path"
    done < <(added_by "$1")
    if [ -n "$found" ] && ! unfinished checkout; then
        refuse "$ROOT has files that are in no commit here, and commit ${1:0:12} brings others of their names; move them away first:$found"
    fi
}
# is_rendered PATH: whether it is a file for whoever deploys by hand that this stack wrote (place_deployment)
is_rendered() { [[ $1 = deployment/* ]] && grep -qs '^[#;] managed by itqan' "$ROOT/$1"; }
# added_by COMMIT: the paths that it has and the checkout does not, each ended by a zero byte
added_by() {
    if [ -n "$FROM" ]; then
        deploy_git diff --name-only -z --no-renames --diff-filter=A HEAD "$1"
    else
        deploy_git ls-tree -r --name-only -z "$1"
    fi
}

# composer_file COMMIT: by which of its files Composer works here
composer_file() {
    if deploy_git cat-file -e "$1:$COMPOSER_FILE" 2>/dev/null; then printf '%s\n' "$COMPOSER_FILE"; else echo composer.json; fi
}

# check_platform COMMIT: whether this host has the PHP and the extensions that the lock file asks for
check_platform() {
    local file lock folder said status=0
    if [ "$DEPENDENCIES" = "$(cat "$ROOT/vendor/.itqan-digest" 2>/dev/null)" ]; then return; fi
    file=$(composer_file "$1") lock=${file%.json}.lock
    if ! deploy_git cat-file -e "$1:$lock" 2>/dev/null; then
        say "release: commit ${1:0:12} has no $lock: what Composer will take is not known before"
        return
    fi
    folder=$(as "$DEPLOY_USER" mktemp -d)
    deploy_git show "$1:$file" | as "$DEPLOY_USER" tee "$folder/composer.json" >/dev/null
    deploy_git show "$1:$lock" | as "$DEPLOY_USER" tee "$folder/composer.lock" >/dev/null
    said=$(cd "$folder" && as "$DEPLOY_USER" composer check-platform-reqs --lock --no-dev --no-plugins --no-interaction --no-ansi 2>&1) || status=$?
    rm -rf "$folder"
    if ((status)); then
        refuse "this host is not what $lock of ${1:0:12} asks for (composer check-platform-reqs):
$(grep -v ' success ' <<<"$said" | tail -n 20)"
    fi
}

check_database() {
    local said
    if ! said=$(mysql --defaults-file="$CLIENT_FILE" -e 'SELECT 1' "$DATABASE" 2>&1 >/dev/null); then
        refuse "database $DATABASE cannot be reached as the application does (mysql --defaults-file=$CLIENT_FILE $DATABASE): $said"
    fi
}

# tell_migrations COMMIT: those in PENDING, and which of them cannot be taken back
tell_migrations() {
    local name final
    if [ -z "$PENDING" ]; then return; fi
    say "release: migrations to run: ${PENDING//$'\n'/ }"
    final=$(while read -r name; do
        if ! deploy_git show "$1:database/migrations/$name.php" | is_reversible; then printf ' %s' "$name"; fi
    done <<<"$PENDING")
    if [ -n "$final" ]; then say "release: cannot be reversed, only restored from the backup:$final"; fi
    if is_atomic; then tell_breaking "$1"; fi
}

# tell_unknown_migrations COMMIT: those that ran, that the code which runs has, and the wanted one does not
tell_unknown_migrations() {
    local gone ahead
    if [ -z "$FROM" ]; then return; fi
    gone=$(deploy_git diff --name-only --no-renames --diff-filter=D HEAD "$1" -- database/migrations | sed -n 's|.*/\(.*\)\.php$|\1|p' | sort)
    if [ -z "$gone" ]; then return; fi
    ahead=$(comm -12 <(printf '%s\n' "$gone") <(sql "SELECT migration FROM \`$DATABASE\`.migrations" | sort))
    if [ -n "$ahead" ]; then say "release: the database stays as it is, with migrations that ${1:0:12} does not know: ${ahead//$'\n'/ }"; fi
}

# check_space COMMIT: room for what is kept and made, by the size of what there is; for the dump, that of the data
check_space() {
    local kilobytes=51200
    if [ "$DEPENDENCIES" != "$(cat "$ROOT/vendor/.itqan-digest" 2>/dev/null)" ]; then
        kilobytes=$((kilobytes + 2 * $(size_of "$ROOT/vendor")))
    fi
    if [ "$BUILT" != "$(cat "$ROOT/public/build/.itqan-digest" 2>/dev/null)" ]; then
        kilobytes=$((kilobytes + 2 * $(size_of "$ROOT/public/build")))
    fi
    if is_atomic; then kilobytes=$((kilobytes + $(deploy_git ls-tree -r -l "$1" | awk '{bytes += $4} END {printf "%d", bytes / 1024}'))); fi
    require_space "$ROOT" "$kilobytes" "this release"
    if [ -n "$PENDING" ]; then require_space "$BACKUPS" $(($(data_size) + 51200)) "the backup before its migrations"; fi
}
size_of() { { du -sk "$1" 2>/dev/null || echo 0; } | cut -f1; }
require_space() {
    local free
    free=$(df -Pk "$1" | awk 'NR == 2 {print $4}')
    if ((free < $2)); then
        refuse "$1: too little free disk space for $3 (disk full?): $((free / 1024)) MB of $(($2 / 1024)) MB; nothing was changed"
    fi
}
