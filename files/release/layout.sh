# From one strategy to the other: the folder at the documented path becomes a link, or again a folder. Each step can be repeated.

# layout atomic|in-place
layout() {
    settle
    clear_locks "$ROOT" "$ROOT/.git"
    STEP="layout $1"
    if [ "$1" = atomic ]; then
        become_link
        share
        leave_shared_to_itself
    elif is_atomic; then
        # what is kept of earlier releases goes with the next one: until then requests of before find their way
        forget_paths || refuse "$PHP-fpm does not reload: see \`journalctl -u $PHP-fpm\`; nothing was changed"
        unshare
        take_shared_back
        become_folder
    fi
    if ! installed; then return; fi
    # what is cached names the folder
    STEP="cache the configuration"
    cache_everything
    restart_workers
}

become_link() {
    local folder path
    if is_atomic; then return; fi
    if [ -L "$SITE" ]; then refuse "$SITE is a link to $(readlink "$SITE"), which is not of this stack: move the folder there first"; fi
    for path in $WRITABLE_PATHS; do
        if mountpoint -q "$SITE/$path"; then refuse "$SITE/$path is a file system of its own, which cannot change its place while it is used"; fi
    done
    install -d "$FOLDERS"
    chown "$APPLICATION_OWNER" "$FOLDERS"
    folder=$(new_folder "$(deploy_git rev-parse -q --verify HEAD || echo empty)")
    ln -sT "$(target_of "$folder")" "$folder"
    chown -h "$APPLICATION_OWNER" "$folder"
    exchange "$SITE" "$folder"
    say "release: $SITE is a link to $folder now"
    find_folders
    as "$DEPLOY_USER" touch "$ROOT/.git/released"
}

# become_folder: whoever has the release's own path (caches and requests do) is led on: after the exchange the link's text, seen from
# its new place, is the way that is laid before
become_folder() {
    local folder=$ROOT way
    way=$FOLDERS/$(target_of "$folder")
    install -d "$(dirname "$way")"
    put_link "$SITE" "$way"
    exchange "$SITE" "$folder"
    put_link "$SITE" "$folder"
    rm -rf "$(dirname "$way")"
    say "release: $SITE is a folder again"
    find_folders
}

# place_shared FOLDER PATH: the link in a release to what all of them share
place_shared() {
    if [ -e "$1/$2" ] || [ -L "$1/$2" ]; then return; fi
    as "$DEPLOY_USER" mkdir -p "$(dirname "$1/$2")"
    put_link "$FOLDERS/shared/$2" "$1/$2"
}

# share: the writable folders of what runs, but the caches, become shared ones
share() {
    local path own shared
    while read -r path; do
        own=$ROOT/$path shared=$FOLDERS/shared/$path
        mkdir -p "$(dirname "$shared")"
        if [ -d "$own" ] && ! [ -L "$own" ]; then
            if [ -L "$shared" ]; then rm -f "$shared"; fi # of a change that was killed
            if [ -e "$shared" ]; then set_aside "$shared"; fi
            ln -sT "$shared" "$shared"
            chown -h "$APPLICATION_OWNER" "$shared"
            exchange "$own" "$shared"
        elif ! [ -e "$shared" ]; then
            rm -f "$shared"
            install -d -o "${WRITABLE_OWNER%:*}" -g "${WRITABLE_OWNER#*:}" -m "$WRITABLE_MODE" "$shared"
        fi
        place_shared "$ROOT" "$path"
    done < <(shared_paths)
}
# unshare: they are the running folder's own again; a process of another release finds them there
unshare() {
    local path
    while read -r path; do
        if ! [ -L "$ROOT/$path" ]; then continue; fi
        exchange "$ROOT/$path" "$FOLDERS/shared/$path"
        put_link "$SITE/$path" "$FOLDERS/shared/$path"
    done < <(shared_paths)
}

# leave_shared_to_itself: for git, what is shared is outside of the checkout (gitrepository-layout: sparse checkout); files that lie there
# all the same are no reason to look at them again, which git does from 2.36 on. take_shared_back: the other way.
leave_shared_to_itself() {
    local info=$ROOT/.git/info paths
    mapfile -t paths < <(shared_paths)
    if ((${#paths[@]} == 0)); then return; fi
    as "$DEPLOY_USER" mkdir -p "$info"
    { echo '/*'; shared_paths | sed 's|.*|!/&/|'; } | as "$DEPLOY_USER" tee "$info/sparse-checkout" >/dev/null
    deploy_git config sparse.expectFilesOutsideOfPatterns true
    deploy_git config core.sparseCheckout true
    { shared_paths | sed 's|.*|/&|'; echo /bootstrap/cache/views/; } | while read -r path; do
        if ! grep -qsxF "$path" "$info/exclude"; then printf '%s\n' "$path" | as "$DEPLOY_USER" tee -a "$info/exclude" >/dev/null; fi
    done
    deploy_git ls-files -z -- "${paths[@]}" | deploy_git update-index -z --skip-worktree --stdin
}
take_shared_back() {
    deploy_git config --unset core.sparseCheckout || true
    deploy_git config --unset sparse.expectFilesOutsideOfPatterns || true
    deploy_git ls-files -t -z | sed -z -n 's/^S //p' | deploy_git update-index -z --no-skip-worktree --stdin
    deploy_git ls-files -d -z | sort -zu | deploy_git checkout-index -z --stdin
    rm -f "$ROOT/.git/info/sparse-checkout"
    # shellcheck disable=SC2016 # the inner shell's own words
    shared_paths | sed 's|.*|/&|' | as "$DEPLOY_USER" sh -c 'grep -vxF -f /dev/stdin "$1" >"$1.next"; mv -f "$1.next" "$1"' _ "$ROOT/.git/info/exclude"
}
