# The table "File Permissions" of the document.

permissions() {
    application_permissions
    writable_permissions "$WRITABLE_PATHS"
    # every PHP process is the web user's; whoever else runs artisan by hand finds a log that the group may write
    if ! [ -e "$ROOT/storage/logs/laravel.log" ]; then install -o "$WEB_USER" -g "$WEB_USER" -m 664 /dev/null "$ROOT/storage/logs/laravel.log"; fi
    # the web user can put links there: none is followed
    find "$ROOT/storage/logs" -maxdepth 1 -name '*.log' -type f -exec chown -h "$WEB_USER:$WEB_USER" {} +
    as "$WEB_USER" find "$ROOT/storage/logs" -maxdepth 1 -name '*.log' -type f -user "$WEB_USER" -exec chmod 664 {} +
}
application_permissions() {
    local path skip=()
    for path in $WRITABLE_PATHS; do skip+=(-o -path "$ROOT/$path"); done
    find "$ROOT" -not \( -user "${APPLICATION_OWNER%:*}" -group "${APPLICATION_OWNER#*:}" \) -exec chown -h "$APPLICATION_OWNER" {} +
    find "$ROOT" \( -path "$ROOT/node_modules" -o -path "$ROOT/.git" -o -type l "${skip[@]}" \) -prune -o -not -perm "$APPLICATION_MODE" \
        -not -path "$ROOT/.env" -exec chmod "$APPLICATION_MODE" {} +
}
# writable_permissions PATHS; one may be a link to what releases share
writable_permissions() {
    local path
    for path in $1; do
        mkdir -p "$ROOT/$path"
        chown -R "$WRITABLE_OWNER" "$ROOT/$path/"
        chmod -R "$WRITABLE_MODE" "$ROOT/$path/"
    done
}

permissions_step() {
    STEP="file permissions"
    local mode
    mode=$(stat -c '%U:%G %a' "$ROOT/.env")
    if [ "$ROOT" = "$RUNNING" ]; then
        permissions
    else
        # of a new folder; what releases share is as it was
        application_permissions
        writable_permissions "$(for path in $WRITABLE_PATHS; do if is_own "$path"; then echo "$path"; fi; done)"
    fi
    chown "${mode% *}" "$ROOT/.env"
}

# permissions_of_changed FROM COMMIT: the same for what a checkout wrote, and for the folders that it made
permissions_of_changed() {
    local changed path
    STEP="file permissions"
    changed=$(deploy_git -c core.quotePath=false diff --name-only --no-renames --diff-filter=d "$1" "$2")
    for path in $WRITABLE_PATHS; do
        if [[ $'\n'$changed = *$'\n'"$path"/* ]]; then
            permissions_step
            return
        fi
    done
    # shellcheck disable=SC2016 # the inner shell's own words
    while read -r path; do
        while [ -n "$path" ] && [ -e "$ROOT/$path" ] && ! [ -L "$ROOT/$path" ]; do
            printf '%s\0' "$path"
            if [[ $path != */* ]]; then break; fi
            path=${path%/*}
        done
    done <<<"$changed" | sort -zu \
        | (cd "$ROOT" && xargs -0 -r sh -c 'mode=$0 owner=$1; shift; chown "$owner" "$@" && chmod "$mode" "$@"' "$APPLICATION_MODE" "$APPLICATION_OWNER")
}
