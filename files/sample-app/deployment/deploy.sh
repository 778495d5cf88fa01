#!/bin/bash
# Full deployment of the newest commit of main.
#   deployment/deploy.sh              standard deployment
#   deployment/deploy.sh --skip-npm   without the frontend build
#   deployment/deploy.sh --fresh      DANGER: drops all tables; refused in production
set -euo pipefail
cd "$(dirname "$0")/.."

refuse() {
    echo "deploy: $*" >&2
    exit 1
}

step() {
    STEP="step $1, $2"
    echo "deploy: $STEP"
}

has() { grep -qE "^$1=\"?$2\"?$" .env; }

skip_npm=
migration=migrate
for option in "$@"; do
    case $option in
        --skip-npm) skip_npm=1 ;;
        --fresh) migration=migrate:fresh ;;
        *) refuse "$option is not an option: --skip-npm and --fresh are" ;;
    esac
done

exec 9>storage/framework/deploy.lock
flock -n 9 || refuse "another deployment runs"

step 1 "pre-deployment checks"
[ -s .env ] || refuse ".env is missing"
has APP_DEBUG false || refuse "APP_DEBUG is not false in .env"
if [ "$migration" = migrate:fresh ] && has APP_ENV production; then
    refuse "--fresh would drop the tables of production"
fi

trap 'echo "deploy: failed in $STEP; see php artisan up when the cause is gone" >&2' ERR

step 2 "maintenance mode on"
php artisan down

step 3 "git pull"
git pull origin main

step 4 "composer install"
composer install --no-dev --optimize-autoloader --no-interaction

if [ -z "$skip_npm" ]; then
    step 5 "npm ci and build"
    npm ci
    npm run build
fi

step 6 "$migration"
php artisan "$migration" --force

step 7 "clear and cache configuration, routes, views"
for cache in config route view; do
    php artisan "$cache:clear"
    php artisan "$cache:cache"
done

step 8 "queue:restart"
php artisan queue:restart

step 9 "maintenance mode off"
php artisan up
