# What every step of a release uses: the users that it runs as, its name, marks for what was begun.

artisan() { (cd "$ROOT" && as "$WEB_USER" "$PHP" artisan "$@") >&2; }
deploy_git() { as "$DEPLOY_USER" env GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="$SSH_COMMAND" git -C "$ROOT" "$@"; }
installed() { [ -e "$ROOT/vendor/autoload.php" ]; }

# step NUMBER TEXT: named when it fails
step() {
    STEP="step $1, $2"
    note STEP "$STEP"
    say "release: $STEP"
}

# begin WHAT, finish WHAT: a mark in the checkout for what must not count as done when a run is killed in the middle of it
begin() { as "$DEPLOY_USER" touch "$ROOT/.git/itqan-$1"; }
finish() { rm -f "$ROOT/.git/itqan-$1"; }
unfinished() { [ -e "$ROOT/.git/itqan-$1" ]; }
