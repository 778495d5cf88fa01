# The checkout of a release and its repository: git as the deploy user.

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
    settle
    trust_repository
    if ! [ -e "$ROOT/.git" ] && [ -n "$(ls -A "$ROOT" 2>/dev/null)" ]; then
        refuse "$ROOT is neither empty nor a git checkout: move it away, or make it one"
    fi
    clear_locks "$ROOT" "$ROOT/.git"
    # step by step where `git clone` is one: each can be repeated after a kill
    if ! deploy_git rev-parse -q --git-dir >/dev/null 2>&1 || ! [ -s "$ROOT/.git/config" ]; then as "$DEPLOY_USER" git init -q "$ROOT"; fi
    deploy_git config remote.origin.url "$REPOSITORY"
    if ! deploy_git config remote.origin.fetch >/dev/null; then deploy_git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'; fi
    set_access
    if ! deploy_git rev-parse -q --verify HEAD >/dev/null; then ask_repository fetch -q --tags origin; fi
    # the document's chmod -R 755 would otherwise mark every file as modified, and every later pull would refuse
    deploy_git config core.fileMode false
}

# fetch_commit REF COMMIT: before maintenance mode, so that a repository that does not answer costs nobody the site
fetch_commit() {
    step 3 "fetch $1"
    if deploy_git cat-file -e "$2^{commit}" 2>/dev/null; then return; fi
    ask_repository fetch -q --tags origin
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
