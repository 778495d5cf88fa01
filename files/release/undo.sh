# How a release that does not get to its end is taken back. What there is to take back stands in UNDO before it is done, so that
# a run that was killed is settled by the next one: `journal` has lines `KEY value`, the last one of a key counts; beside it
# lie the folders that were made anew, and the caches, as they were.

# begin_undo: from here on a release can be taken back, if there is one that it can go back to
begin_undo() {
    local key caches
    forget_undo
    install -d "$UNDO.new/cache"
    BRANCH=$(deploy_git symbolic-ref -q --short HEAD || true)
    for key in BRANCH COMMIT REF BY BEGAN KIND STEP; do printf '%s %s\n' "$key" "${!key}"; done >"$UNDO.new/journal"
    if installed; then printf 'FROM %s\n' "$FROM" >>"$UNDO.new/journal"; fi
    if is_atomic; then printf 'OLD %s\n' "$ROOT" >>"$UNDO.new/journal"; fi
    mapfile -t caches < <(compgen -G "$ROOT/bootstrap/cache/*.php")
    if ((${#caches[@]})) && ! is_atomic; then cp -a "${caches[@]}" "$UNDO.new/cache/"; fi
    sync "$UNDO.new/journal"
    mv -T "$UNDO.new" "$UNDO"
}
is_begun() { [ -e "$UNDO/journal" ]; }
note() { if is_begun; then printf '%s %s\n' "$1" "$2" >>"$UNDO/journal"; fi; }
noted() { sed -n "s/^$1 //p" "$UNDO/journal" | tail -n 1; }
forget_undo() {
    rm -rf "$UNDO.new"
    if ! [ -e "$UNDO" ]; then return; fi
    mv -T "$UNDO" "$UNDO.new" # in one step: half of it must not count
    rm -rf "$UNDO.new"
}

# keep NAME FOLDER: the folder as it is, before it is made anew. A copy: Composer writes into files that are there.
keep() {
    if ! is_begun || is_atomic || [ -e "$UNDO/$1" ] || ! [ -e "$ROOT/$2" ]; then return; fi
    rm -rf "$UNDO/$1.part"
    cp -a --reflink=auto "$ROOT/$2" "$UNDO/$1.part"
    mv -T "$UNDO/$1.part" "$UNDO/$1"
}
# put_back NAME FOLDER: as `keep` kept it
put_back() {
    if ! [ -e "$UNDO/$1" ]; then return; fi
    rm -rf "$UNDO/$1.away"
    if [ -e "$ROOT/$2" ]; then mv -T "$ROOT/$2" "$UNDO/$1.away"; fi
    finish "$1"
    mv -T "$UNDO/$1" "$ROOT/$2"
    rm -rf "$UNDO/$1.away"
}

# guarded COMMAND…: in a process of its own, so that somebody is left to take back what a killed one began. What it says is
# kept for the end; a program that outlives it is waited for, because it still writes.
guarded() {
    local status
    set +e
    (set -e; trap - EXIT; "$@") 2>&1 | tee -p "$UNDO/words" >&2
    status=${PIPESTATUS[0]}
    set -e
    if ! ((status)); then return; fi
    recall
    say "itqan: release: failed in $STEP, exit code $status; its last lines:"
    awk '/^release: step / {words = ""; next} {words = words "    " $0 "\n"} END {printf "%s", words}' "$UNDO/words" | tail -n 15 >&2
    settle failed
    TOLD=yes
    exit "$status"
}

# recall: what is known of the release that the journal is about
recall() {
    local key
    for key in FROM BRANCH COMMIT REF BY BEGAN KIND STEP BACKUP; do printf -v "$key" %s "$(noted "$key")"; done
}

# settle [failed]: a release that did not get to its end is taken back, be it this run's or that of one that was killed. Refuses
# while its migrations wait for a person's decision.
settle() {
    rm -rf "$UNDO.new"
    if ! is_begun; then return; fi
    recall
    if [ "${1-}" != failed ] && ! is_done; then say "release: the release of ${COMMIT:0:12} did not get to its end, it was in $STEP"; fi
    if [ -n "$(noted UNDECIDED)" ]; then refuse_undecided; fi
    if [ "${1-}" != failed ] && is_done; then
        log_release released
    elif [ -z "$FROM" ]; then
        leave_folder
        say "itqan: release: there is no earlier release to go back to; run it again after the cause is gone"
        log_release failed "$STEP"
    elif is_atomic && [ -z "$(noted BACK)" ]; then
        take_folder_back
        say "itqan: release: ${FROM:0:12} runs on, as before"
        log_release 'failed, taken back' "$STEP"
    elif [ -z "$(noted BACK)" ]; then
        take_back
        note BACK yes
        open_site 'failed, taken back'
        return
    else
        open_site 'failed, taken back'
    fi
    forget_undo
}

# is_done: whether a release that was killed had come to its end
is_done() { [ "$STEP" = ended ] || { [[ $STEP = 'step 9,'* ]] && ! [ -e "$ROOT/storage/framework/down" ]; }; }

# take_back: database, dependencies, assets, checkout and caches of FROM; each step can be repeated
take_back() {
    local failed=$STEP
    say "release: taking ${COMMIT:0:12} back: ${FROM:0:12} comes again"
    STEP="taking back migrations"
    take_back_migrations
    STEP="taking back dependencies and assets"
    put_back vendor vendor
    put_back build public/build
    STEP="taking back the checkout"
    take_back_checkout
    permissions_step
    STEP="taking back caches"
    take_back_caches
    restart_workers || say "release: the workers were not told to restart: see above"
    STEP=$failed
    wait_for_decision
}
wait_for_decision() {
    if [ -z "$(noted UNDECIDED)" ]; then return; fi
    log_release 'failed, waits for a decision' "$STEP"
    refuse_undecided
}

# take_folder_back: the same where a release is a folder of its own: what ran goes on, or comes again by one rename
take_folder_back() {
    local failed=$STEP old next
    old=$(noted OLD) next=$(noted NEXT)
    STEP="switching back"
    if [ "$(readlink -f "$SITE")" != "$old" ]; then
        say "release: taking ${COMMIT:0:12} back: ${FROM:0:12} comes again"
        switch_to "$old"
        note SWITCHED yes
    fi
    find_folders
    STEP="taking back migrations"
    if [ -d "$next" ]; then ROOT=$next; fi
    take_back_migrations
    find_folders
    STEP="taking back the workers"
    if [ -n "$(noted SWITCHED)" ]; then restart_workers || say "release: the workers were not told to restart: see above"; fi
    leave_folder
    STEP=$failed
    if [ -n "$(noted UNDECIDED)" ] && ! site_works; then maintenance_on; fi
    wait_for_decision
}

take_back_checkout() {
    local path
    clear_locks "$ROOT" "$ROOT/.git"
    if ! unfinished checkout && [ "$(deploy_git rev-parse -q --verify HEAD)" = "$FROM" ]; then return; fi
    begin checkout
    if [ -n "$BRANCH" ]; then deploy_git checkout -q -f -B "$BRANCH" "$FROM"; else deploy_git checkout -q -f --detach "$FROM"; fi
    # half a checkout leaves files that git does not know of; none was there before (check_files_in_the_way)
    deploy_git diff --name-only -z --no-renames --diff-filter=A "$FROM" "$COMMIT" | while IFS= read -r -d '' path; do
        as "$DEPLOY_USER" rm -f "$ROOT/$path"
        as "$DEPLOY_USER" rmdir -p --ignore-fail-on-non-empty "$(dirname "$ROOT/$path")" 2>/dev/null || true
    done
    finish checkout
}

take_back_caches() {
    local file folder=$ROOT/bootstrap/cache
    for file in "$folder"/*.php; do
        if ! [ -e "$UNDO/cache/${file##*/}" ]; then rm -f "$file"; fi
    done
    for file in "$UNDO"/cache/*.php; do
        if ! [ -e "$file" ]; then continue; fi
        cp -a --remove-destination "$file" "$folder/"
        chown "$WEB_USER:$WEB_USER" "$folder/${file##*/}" # the table's owner has passed over it
    done
    if ! (make_views && take_views); then say "release: views are compiled when they are asked for"; fi
}

# take_back_migrations: those that this release ran, if all of them can be reversed; then the structure of the database has to be
# what it was, as a migration that failed in its middle is in no list
take_back_migrations() {
    local wanted ran
    wanted=$(noted MIGRATIONS)
    if [ -z "$wanted" ] || [ -n "$(noted REVERSED)" ]; then return; fi
    if ! sql 'SELECT 1' >/dev/null; then refuse "the database does not answer, so that its migrations cannot be taken back: start it, then run this again"; fi
    ran=$(comm -12 <(tr ' ' '\n' <<<"$wanted" | sort) <(sql "SELECT migration FROM \`$DATABASE\`.migrations" | sort))
    if [ -n "$(noted FRESH)" ]; then
        note UNDECIDED "--fresh dropped all tables"
    elif [ -n "$ran" ] && ! reverse "$ran"; then
        note UNDECIDED "${ran//$'\n'/ } cannot be reversed"
    elif [ "$(structure)" != "$(noted STRUCTURE)" ]; then
        note UNDECIDED "the database has another structure than before ${wanted// /, }"
    else
        note REVERSED yes
    fi
}
# reverse NAMES: migrations, a line each, that have to be the last ones that were run
reverse() {
    local name file count
    count=$(wc -l <<<"$1")
    if [ "$(sql "SELECT migration FROM \`$DATABASE\`.migrations ORDER BY batch DESC, migration DESC LIMIT $count" | sort)" != "$1" ]; then return 1; fi
    while read -r name; do
        file=$(migration_file "$name")
        if [ -z "$file" ] || ! is_reversible <"$file"; then return 1; fi
    done <<<"$1"
    artisan migrate:rollback --force --step="$count" || return
    [ -z "$(comm -12 <(printf '%s\n' "$1") <(sql "SELECT migration FROM \`$DATABASE\`.migrations" | sort))" ]
}
# migration_file NAME: the application's own, or one of its packages
migration_file() { find "$ROOT/database/migrations" "$ROOT/vendor" -path "*/migrations/*" -name "$1.php" -print -quit 2>/dev/null; }

refuse_undecided() {
    STEP=$(noted STEP) TOLD=yes
    refuse "release: ${COMMIT:0:12} failed in $STEP and its migrations cannot be taken back: $(noted UNDECIDED).
The code is that of ${FROM:0:12} again, the database is as the migrations left it, the site $(if [ -e "$ROOT/storage/framework/down" ]; then echo 'stays in maintenance mode'; else echo 'goes on with both'; fi) until somebody decides:
  back; what was written since the backup is lost:  sudo itqan-release restore ${BACKUP:-FILE}
  forward, with the database as it is:              sudo itqan-release accept"
}

# open_site RESULT: maintenance mode ends if, and only if, the site works
open_site() {
    if [ -e "$ROOT/storage/framework/down" ]; then
        # OPcache looks at a file again after two seconds
        if ! wait_until 10 site_works; then
            log_release "$1, closed" "$STEP"
            say "itqan: release: ${FROM:0:12} is back, and the site does not work with it either (HTTP $(site_status)): it stays in maintenance mode; see storage/logs/laravel.log and \`journalctl -u nginx\`"
            return
        fi
        artisan up
    fi
    say "itqan: release: ${FROM:0:12} runs again, as before"
    log_release "$1" "$STEP"
    forget_undo
}
site_works() {
    local status
    status=$(site_status)
    ((status >= 200 && status < 500))
}
# site_status: what the start page answers to whoever may look past maintenance mode
site_status() {
    pass_of_maintenance | curl -s -k -m 20 -o /dev/null -w '%{http_code}' --resolve "$DOMAIN:443:127.0.0.1" -K - "https://$DOMAIN/" || true
}

# let_ourselves_in: maintenance mode knows a secret from now on, which opens the site for us; not as an argument, which every
# user could read. pass_of_maintenance: the cookie for it, as Laravel makes it (MaintenanceModeBypassCookie), in curl's words.
let_ourselves_in() {
    if ! [ -e "$ROOT/storage/framework/down" ]; then return; fi
    # shellcheck disable=SC2016
    (cd "$ROOT" && as "$WEB_USER" "$PHP" -r '
        $file = "storage/framework/down";
        $mode = json_decode(file_get_contents($file), true);
        $mode["secret"] ??= bin2hex(random_bytes(16));
        file_put_contents("$file.next", json_encode($mode, JSON_PRETTY_PRINT));
        rename("$file.next", $file);')
}
pass_of_maintenance() {
    # shellcheck disable=SC2016
    (cd "$ROOT" && as "$WEB_USER" "$PHP" -r '
        $mode = json_decode((string) @file_get_contents("storage/framework/down"), true);
        if (!isset($mode["secret"])) exit;
        $until = time() + 60;
        $cookie = json_encode(["expires_at" => $until, "mac" => hash_hmac("sha256", (string) $until, $mode["secret"])]);
        printf("cookie = \"laravel_maintenance=%s\"\n", rawurlencode(base64_encode($cookie)));')
}
