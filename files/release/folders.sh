# The strategy `atomic`: every release is a folder of its own, SITE is a link to the one that runs, and a release is one rename of
# that link. FOLDERS holds them as TIME-COMMIT; `shared`, what the web user writes and all of them have (storage); `assets`, the
# built files of those that are kept; `undo`, the journal.

# is_atomic: a link to somewhere else is somebody's own, and as good as a folder
is_atomic() { [[ $(readlink "$SITE") = ".${SITE##*/}"/* ]]; }

# find_folders: ROOT is where a step works: what runs (RUNNING), or the folder of a release that is being made. The journal of a release
# that is a folder of its own lies beside all of them.
find_folders() {
    ROOT=$(readlink -m "$SITE")
    RUNNING=$ROOT
    if is_atomic; then UNDO=$FOLDERS/undo; else UNDO=$ROOT/.git/itqan-undo; fi
}

# is_own PATH: whether a writable folder is each release's own: what is cached is made from its code
is_own() { [[ $1 = bootstrap || $1 = bootstrap/* ]]; }
# shared_paths: a line each
shared_paths() {
    local path
    for path in $WRITABLE_PATHS; do if ! is_own "$path"; then printf '%s\n' "$path"; fi; done
}

# exchange PATH PATH: two names change places in one step, be they folders or links
exchange() {
    local said
    if ! said=$(python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.renameat2(-100, os.fsencode(sys.argv[1]), -100, os.fsencode(sys.argv[2]), 2):
    sys.exit(os.strerror(ctypes.get_errno()))' "$1" "$2" 2>&1); then
        refuse "$1 and $2 cannot change places in one step ($said); nothing was changed. Does the file system know RENAME_EXCHANGE?"
    fi
}
# put_link TARGET PATH: a link in place of what link or nothing is there, in one rename
put_link() {
    ln -sfnT "$1" "$FOLDERS/link"
    chown -h "$APPLICATION_OWNER" "$FOLDERS/link"
    mv -fT "$FOLDERS/link" "$2"
}
# target_of FOLDER: as SITE says it; relative, so that it is the way back after an exchange (become_folder)
target_of() { printf '.%s/%s\n' "${SITE##*/}" "${1##*/}"; }
# switch_to FOLDER: from now on requests and processes begin there
switch_to() { put_link "$(target_of "$1")" "$SITE"; }

# new_folder COMMIT: its name; that of another second where there is one already
new_folder() {
    local folder
    while folder=$FOLDERS/$(date +%Y%m%dT%H%M%S)-${1:0:12} && { [ -e "$folder" ] || [ -L "$folder" ]; }; do sleep 0.1; done
    printf '%s\n' "$folder"
}
# kept_folders: those that were released and could be again, the newest first
kept_folders() {
    find "$FOLDERS" -mindepth 3 -maxdepth 3 -path "$FOLDERS/*-*/.git/released" -printf '%T@ %h\n' 2>/dev/null | sort -rn | sed 's|^[^ ]* ||; s|/\.git$||'
}
# kept_folder COMMIT: one that stands at it, and is not the one that runs
kept_folder() {
    local folder
    while read -r folder; do
        if [ "$folder" != "$RUNNING" ] && [ "$(release_git "$folder" rev-parse HEAD 2>/dev/null)" = "$1" ] \
            && [ -z "$(release_git "$folder" status --porcelain --untracked-files=no 2>/dev/null)" ]; then
            printf '%s\n' "$folder"
            return
        fi
    done < <(kept_folders)
}

# begin_folder COMMIT: ROOT is from now on the folder that it is made in, with everything of the one that runs that git does not have
begin_folder() {
    share
    local folder made
    folder=$(kept_folder "$1")
    if [ -n "$folder" ]; then
        say "release: ${folder##*/} is still there: what it has is not made again"
    else
        folder=$(new_folder "$1")
    fi
    note NEXT "$folder"
    ROOT=$folder
    install -d -o "$DEPLOY_USER" -g "$DEPLOY_USER" "$ROOT"
    rm -f "$ROOT/.git/released"
    take_all_made "$1" &
    made=$!
    take_repository
    wait "$made"
    take_files
    # nobody needs it to run; there is one, and it goes along
    if [ -e "$RUNNING/node_modules" ] && ! [ -e "$ROOT/node_modules" ]; then mv -T "$RUNNING/node_modules" "$ROOT/node_modules"; fi
}

# take_repository: branches, stashes, settings and hooks go along; what git calls objects is never written to again, so it is shared
# by hard links. The index stays with the files.
take_repository() {
    local next=$ROOT/.git-next
    rm -rf "$next"
    install -d -o "$DEPLOY_USER" -g "$DEPLOY_USER" "$next"
    cp -al "$RUNNING/.git/objects" "$next/"
    find "$RUNNING/.git" -mindepth 1 -maxdepth 1 -not \( -name objects -o -name index -o -name released -o -name 'itqan-*' -o -name '*.lock' \) \
        -exec cp -a -t "$next" {} +
    if [ -e "$ROOT/.git/index" ]; then mv -f "$ROOT/.git/index" "$next/index"; fi
    REFERENCES=$(references)
    rm -rf "$ROOT/.git"
    mv -T "$next" "$ROOT/.git"
}
# references: what the running checkout stands at
references() { release_git "$RUNNING" for-each-ref && release_git "$RUNNING" rev-parse -q --verify HEAD || true; }

# take_files: what lies in the running folder and is in no commit, but what is made there and what all releases share
take_files() {
    local path target
    while read -r path; do place_shared "$ROOT" "$path"; done < <(shared_paths)
    while IFS= read -r -d '' path; do
        path=${path%/}
        case $path in
            vendor | node_modules | public/build | bootstrap/cache/config*.php | bootstrap/cache/routes*.php | bootstrap/cache/events.php | bootstrap/cache/views) continue ;;
            .env) rm -f "$ROOT/.env" ;;
        esac
        if [ -e "$ROOT/$path" ] || [ -L "$ROOT/$path" ]; then continue; fi
        (cd "$RUNNING" && cp -a --parents "$path" "$ROOT/")
        target=$(readlink "$ROOT/$path" || true)
        if [[ $target = "$RUNNING"/* ]]; then ln -sfnT "$SITE${target#"$RUNNING"}" "$ROOT/$path"; fi
    done < <(release_git "$RUNNING" ls-files -z --others --directory)
}
take_all_made() {
    take_made vendor "$(dependencies_digest "$RUNNING" "$1")"
    take_made public/build "$(assets_digest "$RUNNING" "$1")"
}
# take_made FOLDER DIGEST: what was made in the running folder. By hard links where it is that of the commit already, as then no tool
# writes there; else a copy.
take_made() {
    if [ -e "$ROOT/$1" ] || ! [ -e "$RUNNING/$1" ] || [ -e "$RUNNING/.git/itqan-${1##*/}" ]; then return; fi
    local how=(-a --reflink=auto)
    if [ "$(cat "$RUNNING/$1/.itqan-digest" 2>/dev/null)" = "$2" ]; then how=(-al); fi
    (cd "$RUNNING" && cp "${how[@]}" --parents "$1" "$ROOT/")
}

# bring_shared FROM COMMIT: files that a commit has in a shared folder: new ones, and those that it changed
bring_shared() {
    local path changed paths
    mapfile -t paths < <(shared_paths)
    if ((${#paths[@]} == 0)); then return; fi
    changed=$(if [ -n "$1" ]; then deploy_git -c core.quotePath=false diff --name-only --no-renames --diff-filter=M "$1" "$2"; fi)
    while IFS= read -r -d '' path; do
        if [ -e "$FOLDERS/shared/$path" ] && [[ $'\n'$changed$'\n' != *$'\n'"$path"$'\n'* ]]; then continue; fi
        make_folders "$path"
        deploy_git show "$2:$path" >"$FOLDERS/file"
        chown "$WRITABLE_OWNER" "$FOLDERS/file"
        chmod "$WRITABLE_MODE" "$FOLDERS/file"
        mv -fT "$FOLDERS/file" "$FOLDERS/shared/$path"
    done < <(deploy_git ls-tree -r -z --name-only "$2" -- "${paths[@]}")
}
make_folders() {
    local folder=${1%/*}
    if [[ $folder != "$1" ]] && ! [ -d "$FOLDERS/shared/$folder" ]; then
        make_folders "$folder"
        install -d -o "${WRITABLE_OWNER%:*}" -g "${WRITABLE_OWNER#*:}" -m "$WRITABLE_MODE" "$FOLDERS/shared/$folder"
    fi
}

# check_unchanged: what was copied is what is there: nobody has committed, or changed .env, in the running folder meanwhile
check_unchanged() {
    if [ "$(references)" != "$REFERENCES" ] || [ -n "$(release_git "$RUNNING" status --porcelain --untracked-files=no)" ]; then
        refuse "$SITE: somebody committed, fetched or changed files there during this release; it would be lost to who comes after: run the release again"
    fi
    if ! cmp -s "$RUNNING/.env" "$ROOT/.env"; then refuse "$SITE/.env was changed during this release: run it again"; fi
}

# go_live: the switch
go_live() {
    check_unchanged
    keep_assets
    as "$DEPLOY_USER" touch "$ROOT/.git/released"
    switch_to "$ROOT"
}
# keep_assets: a page of the release before asks for its own files after the switch: nginx finds them here for as long as one of the
# folders has them. Links, as is seen by their number (prune_folders).
keep_assets() {
    if ! [ -e "$ROOT/public/build" ]; then return; fi
    install -d "$FOLDERS/assets/build"
    cp -aln "$ROOT/public/build/." "$FOLDERS/assets/build/"
}

# leave_folder: a release that did not come to its end goes, if it is not what runs
leave_folder() {
    local folder
    folder=$(noted NEXT)
    if [ -z "$folder" ] || [ "$folder" = "$(readlink -f "$SITE")" ]; then return; fi
    if [ -e "$folder/node_modules" ] && ! [ -e "$ROOT/node_modules" ]; then mv -T "$folder/node_modules" "$ROOT/node_modules"; fi
    rm -rf "$folder"
}

# prune_folders: KEEP_RELEASES earlier releases stay, and those that a process works in; half-made ones go
prune_folders() {
    local folder running count=0 used
    if ! is_atomic; then
        forget_folders
        return
    fi
    running=$(readlink -f "$SITE") used=$(folders_in_use)
    while read -r folder; do
        if [ "$folder" = "$running" ] || (((count += 1) <= KEEP_RELEASES)); then continue; fi
        remove_folder "$folder" "$used"
    done < <(kept_folders)
    for folder in "$FOLDERS"/*-*; do
        if [ -L "$folder" ]; then
            rm -f "$folder" # of a change of strategy
        elif [ -d "$folder" ] && [ "$folder" != "$running" ] && ! [ -e "$folder/.git/released" ]; then
            remove_folder "$folder" "$used"
        fi
    done
    if [ -d "$FOLDERS/assets" ]; then find "$FOLDERS/assets" -type f -links 1 -delete; fi
}
# forget_folders: what the strategy atomic has left, once releases come in-place; not what is in use, nor what somebody has still there
forget_folders() {
    rm -rf "$ROOT/bootstrap/cache/views"
    if ! [ -d "$FOLDERS" ] || [ -n "$(folders_in_use)" ]; then return; fi
    if [ -n "$(find "$FOLDERS/shared" -type f -print -quit 2>/dev/null)" ]; then
        say "release: $FOLDERS stays: there are files in $FOLDERS/shared that the settings no longer name as writable"
        return
    fi
    # a request between FPM's last new start and the exchange of the link by the folder asked perhaps for the documented path
    if ! forget_paths; then
        say "release: $FOLDERS stays until the next release, as $PHP-fpm does not reload: see \`journalctl -u $PHP-fpm\`"
        return
    fi
    rm -rf "$FOLDERS"
}
# remove_folder FOLDER USED: half of one must not count as a release
remove_folder() {
    if [[ $'\n'$2$'\n' = *$'\n'"$1"[$'\n'/]* ]]; then
        say "release: ${1##*/} stays: a process still works in it"
        return
    fi
    rm -f "$1/.git/released"
    rm -rf "$1"
}
# folders_in_use: where processes are, a line each; each user sees their own
folders_in_use() {
    local user
    for user in "$WEB_USER" "$DEPLOY_USER" root; do
        as "$user" find /proc -mindepth 2 -maxdepth 2 -name cwd -user "$user" -lname "$FOLDERS/*" -printf '%l\n' 2>/dev/null || true
    done | sed 's/ (deleted)$//' | sort -u
}
