# How a release goes: quickly, as the document's "Quick Deploy", or through all nine steps.

# plan COMMIT [OPTION…]: sets KIND, SKIP_NPM and FRESH, and says what comes, before it begins
plan() {
    local commit=$1 option reasons
    shift
    SKIP_NPM='' FRESH=''
    reasons=$(reasons_for_full "$commit")
    if [ -n "$reasons" ]; then KIND=full; else KIND=quick; fi
    for option; do
        case $option in
            --full) KIND=full ;;
            --quick)
                require_quick "$commit"
                KIND=quick SKIP_NPM=yes
                ;;
            --skip-npm) SKIP_NPM=yes ;;
            --fresh)
                if [ "$(variable APP_ENV)" = production ]; then refuse "--fresh would drop the tables of a production server: refused, whatever else is said"; fi
                KIND=full FRESH=yes
                ;;
            *) refuse "$option is no option of a release: --quick, --full, --skip-npm, --fresh" ;;
        esac
    done
    if [ "$KIND" = quick ]; then
        say "release: quick, without maintenance mode: $(deploy_git diff --name-only HEAD "$commit" | wc -l) files differ between ${FROM:0:12} and ${commit:0:12}${reasons:+, and as was asked for}"
    else
        reasons=${reasons:-as was asked for}
        say "release: full: ${reasons//$'\n'/; }"
    fi
}

# reasons_for_full COMMIT: a line each; none where PHP and Blade are all that changed
reasons_for_full() {
    local changed
    if ! installed || [ -z "$FROM" ]; then
        echo "nothing is installed yet"
        return
    fi
    if [ -e "$ROOT/storage/framework/down" ]; then echo "maintenance mode is on"; fi
    if ! vendor_fits; then echo "vendor/ is not what the lock file names"; fi
    if [ "$(build_state "$ROOT")" != current ]; then echo "assets are not built"; fi
    if [ -n "$PENDING" ]; then echo "migrations are pending"; fi
    changed=$(deploy_git diff --name-only --no-renames HEAD "$1" | grep -E "$MADE_FROM" | grep -vE '^resources/.*\.blade\.php$' || true)
    if [ -n "$changed" ]; then echo "changed: $(head -n 4 <<<"$changed" | paste -sd ' ')$(if (($(wc -l <<<"$changed") > 4)); then echo ' …'; fi)"; fi
}
# What dependencies, assets and the database are made from.
MADE_FROM='^(composer(\.[a-z]+)?\.(json|lock)|package(-lock)?\.json|(vite|tailwind|postcss)\.config\.[a-z]+|database/migrations/.*|resources/.*)$'

# vendor_fits: whether what is installed is what the wanted commit's lock file names
vendor_fits() {
    if unfinished vendor; then return 1; fi
    if [ -e "$ROOT/vendor/.itqan-digest" ]; then
        [ "$DEPENDENCIES" = "$(cat "$ROOT/vendor/.itqan-digest")" ]
    else
        [ "$(vendor_state "$ROOT" "$COMPOSER_FILE")" = current ] && [ "$(dependencies_digest "$ROOT")" = "$DEPENDENCIES" ]
    fi
}

# require_quick COMMIT: a quick release leaves out Composer and the migrations, and may not leave behind what needs them
require_quick() {
    local needs=''
    if ! installed || ! vendor_fits; then needs+=" composer install"; fi
    if [ -n "$PENDING" ]; then needs+="${needs:+,} migrate (${PENDING//$'\n'/ })"; fi
    if [ -n "$needs" ]; then refuse "--quick would leave out what ${1:0:12} cannot do without:$needs; leave --quick away"; fi
}
