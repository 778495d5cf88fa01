#!/bin/bash
# A server of the application as somebody built it by hand, from the server's document, before there was a stack.
#   by_hand.sh DOMAIN ADDRESS REGISTRAR DIRECTORY    the packages are there; /root/by-hand.tsig is the zone's secret, .env (.env
#   without APP_KEY), .stream the application for git fast-import, .site nginx's
set -euo pipefail
domain=$1 address=$2 registrar=$3 directory=$4
root=/var/www/itqan-platform origin=/srv/git/itqan-platform.git given=/root/by-hand
as() { runuser -u deploy -- env HOME=/home/deploy "$@"; }
artisan() { (cd $root && as php artisan "$@" -q); }
value() { sed -nE "s/^(export )?$1=['\"]?([^'\"]*)['\"]?.*/\\2/p" $given.env; }

systemctl enable -q --now nginx php8.4-fpm mariadb redis-server supervisor cron certbot.timer

# database; the grant is written as the document's author would, without the backslash before the underscore
password=$(value DB_PASSWORD)
mysql <<SQL
CREATE DATABASE itqan_platform CHARACTER SET utf8mb4;
CREATE USER itqan@127.0.0.1 IDENTIFIED BY '$password';
CREATE USER itqan@localhost IDENTIFIED BY '$password';
GRANT ALL ON itqan_platform.* TO itqan@127.0.0.1;
GRANT ALL ON itqan_platform.* TO itqan@localhost;
SQL

# application
useradd -m -s /bin/bash -G www-data deploy
install -d -o deploy -g deploy /srv/git /home/deploy/backups
as git init -q --bare -b main $origin
as git -C $origin fast-import --quiet --done <$given.stream
install -d -o deploy -g www-data $root
as git clone -q $origin $root
as git -C $root config core.fileMode false
install -o deploy -g deploy -m 755 $given.env $root/.env
(
    cd $root
    as env COMPOSER=composer.debian.json composer install -q --no-dev --optimize-autoloader --no-interaction
    as npm ci --silent --no-update-notifier >/dev/null
    as npm run build --silent >/dev/null
    chown -R deploy:www-data .
    chown deploy:deploy .env
    find . -path ./node_modules -prune -o -exec chmod 755 {} +
    chmod -R 775 storage bootstrap/cache
    find storage bootstrap/cache -type d -exec chmod g+s {} +
)
artisan key:generate --force
artisan migrate --force
for what in config route view; do artisan $what:cache; done

# records
nsupdate -v -y "hmac-sha512:itqan.:$(cat $given.tsig)" <<ZONE
server $registrar
zone $domain
update delete $domain A
update add $domain 60 A $address
update add *.$domain 60 A $address
update add conference.$domain 60 A 192.0.2.10
send
ZONE

# certificate
cat >/etc/letsencrypt/rfc2136.ini <<INI
dns_rfc2136_server = $registrar
dns_rfc2136_port = 53
dns_rfc2136_name = itqan.
dns_rfc2136_secret = $(cat $given.tsig)
dns_rfc2136_algorithm = HMAC-SHA512
INI
chmod 600 /etc/letsencrypt/rfc2136.ini
install -d /etc/letsencrypt/renewal-hooks/deploy
printf '#!/bin/sh\nexec systemctl reload nginx\n' >/etc/letsencrypt/renewal-hooks/deploy/nginx.sh
chmod 755 /etc/letsencrypt/renewal-hooks/deploy/nginx.sh
certbot certonly -q -n --agree-tos -m "admin@$domain" --server "$directory" --dns-rfc2136 \
    --dns-rfc2136-credentials /etc/letsencrypt/rfc2136.ini --dns-rfc2136-propagation-seconds 1 \
    --cert-name itqanway.com-0001 -d "$domain" -d "*.$domain"

# PHP-FPM, nginx, supervisor, cron
sed -i 's/^pm.max_children = .*/pm.max_children = 6/' /etc/php/8.4/fpm/pool.d/www.conf
systemctl reload php8.4-fpm
install -m 644 $given.site /etc/nginx/sites-available/itqan-platform
ln -sf ../sites-available/itqan-platform /etc/nginx/sites-enabled/itqan-platform
rm -f /etc/nginx/sites-enabled/default
nginx -t -q
systemctl reload nginx
by_hand="1d; /^environment=/d; s|^command=php artisan|command=php $root/artisan|"
sed "$by_hand" $root/deployment/supervisor/itqan-worker.conf >/etc/supervisor/conf.d/itqan-worker.conf
sed "$by_hand" $root/deployment/supervisor/itqan-reverb.conf >/etc/supervisor/conf.d/reverb.conf
supervisorctl update >/dev/null
echo '* * * * * cd /var/www/itqan-platform && php artisan schedule:run >> /dev/null 2>&1' | crontab -u deploy -

until curl -fs -o /dev/null --resolve "$domain:443:127.0.0.1" "https://$domain/"; do sleep 0.1; done
until [ "$(supervisorctl status | grep -c RUNNING)" = 3 ]; do sleep 0.1; done
rm "$given".*
