"""Pulumi.prod.yaml says what the server's document says, section by section."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from components.release import environment
from settings import Settings

# Section "Environment Configuration (.env)", as it stands there.
DOTENV = """
APP_NAME="Itqan Platform"
APP_ENV=production
APP_DEBUG=false
APP_TIMEZONE=Asia/Riyadh
APP_URL=https://itqanway.com
APP_DOMAIN=itqanway.com
APP_LOCALE=ar
APP_FALLBACK_LOCALE=en
DB_HOST=127.0.0.1
DB_PORT=3306
DB_DATABASE=itqan_platform
CACHE_STORE=redis
SESSION_DRIVER=redis
QUEUE_CONNECTION=redis
BROADCAST_CONNECTION=reverb
REDIS_CLIENT=phpredis
REDIS_HOST=127.0.0.1
REDIS_PORT=6379
REVERB_HOST=itqanway.com
REVERB_PORT=443
REVERB_SCHEME=https
MAIL_MAILER=smtp
MAIL_HOST=smtp.hostinger.com
MAIL_PORT=465
MAIL_ENCRYPTION=ssl
MAIL_FROM_ADDRESS=noreply@itqanway.com
LIVEKIT_SERVER_URL=wss://conference.itqanway.com
SESSION_SECURE_COOKIE=true
SESSION_SAME_SITE=lax
SESSION_LIFETIME=120
FILESYSTEM_DISK=local
LOG_CHANNEL=stack
LOG_LEVEL=error
"""
REDACTED = {
    "APP_KEY",
    "DB_CONNECTION",
    "DB_USERNAME",
    "DB_PASSWORD",
    "REVERB_APP_ID",
    "REVERB_APP_KEY",
    "REVERB_APP_SECRET",
    "MAIL_USERNAME",
    "MAIL_PASSWORD",
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
}


def test_server_overview(prod: Settings) -> None:
    server = prod.server
    assert (server.hostname, server.deploy_user, server.web_user) == ("srv1147550", "deploy", "www-data")
    assert (server.ipv4, server.ipv6) == (IPv4Address("72.62.92.156"), IPv6Address("2a02:4780:41:52de::1"))
    assert (server.minimum_disk_gb, server.minimum_memory_gb) == (388, 31)
    assert (prod.domain, prod.platform, prod.hardening) == ("itqanway.com", "ubuntu-22.04", "documented")


def test_software_stack(prod: Settings) -> None:
    assert prod.software.model_dump() == {
        "nginx": "1.18.0",
        "php": "8.4.16",
        "mysql": "8.0.44",
        "redis": "6.0.16",
        "node": "20.19.6",
        "npm": "10.8.2",
        "composer": "2.9.2",
    }
    assert prod.php.also_installed == ["8.2", "8.3"]


def test_directory_structure(prod: Settings) -> None:
    assert (prod.application.path, prod.application.backups) == (
        "/var/www/itqan-platform",
        "/home/deploy/backups",
    )


def test_environment(prod: Settings) -> None:
    documented = dict(line.split("=", 1) for line in DOTENV.split("\n") if line)
    documented["APP_NAME"] = documented["APP_NAME"].strip('"')
    ours = environment(prod)
    assert {name: value for name, value in ours.items() if name not in REDACTED} == documented
    assert ours.keys() >= REDACTED


def test_nginx(prod: Settings) -> None:
    assert prod.nginx.site == "itqan-platform"
    assert set(prod.nginx.headers) == {"X-Frame-Options", "X-Content-Type-Options"}
    assert prod.certificate.lineage == "itqanway.com-0001"


def test_php_fpm(prod: Settings) -> None:
    pool = prod.php.pool
    assert (prod.php.version, pool.process_manager, pool.max_children) == ("8.4", "dynamic", 5)
    assert (pool.start_servers, pool.min_spare_servers, pool.max_spare_servers) == (2, 1, 3)
    cli = prod.php.cli
    assert (cli.upload_max_filesize, cli.post_max_size, cli.memory_limit) == ("2M", "8M", "-1")


def test_supervisor_programs(prod: Settings) -> None:
    worker, reverb = prod.programs
    assert (worker.name, worker.file, worker.processes) == ("itqan-worker", "itqan-worker.conf", 2)
    assert worker.command == "php artisan queue:work redis --sleep=3 --tries=3 --max-time=3600"
    assert worker.log == "storage/logs/worker.log"
    assert (reverb.name, reverb.file, reverb.processes) == ("reverb", "reverb.conf", 1)
    assert (
        reverb.command.format(reverb_host=prod.reverb_host)
        == "php artisan reverb:start --host=0.0.0.0 --port=8080"
    )
    assert reverb.log == "storage/logs/reverb.log"


def test_cron(prod: Settings) -> None:
    assert prod.scheduler == "cron"


def test_permissions(prod: Settings) -> None:
    table = prod.permissions
    assert (table.application.owner, table.application.mode) == ("deploy:www-data", "755")
    assert (table.writable.owner, table.writable.mode) == ("deploy:www-data", "775")
    assert table.writable.paths == ["storage", "bootstrap/cache"]
    assert (table.environment.owner, table.environment.mode) == ("deploy:deploy", "755")


def test_database(prod: Settings) -> None:
    database = prod.database
    assert (str(database.host), database.port) == ("127.0.0.1", 3306)
    assert (database.name, database.charset) == ("itqan_platform", "utf8mb4")


def test_release_branch_in_the_shipped_file(staging: Settings) -> None:
    assert staging.release.ref == "main"


def test_a_copy_differs_only_where_it_says_so(prod: Settings, staging: Settings) -> None:
    same = (
        "software",
        "application",
        "nginx",
        "php",
        "programs",
        "scheduler",
        "permissions",
        "database",
        "redis",
    )
    assert [name for name in same if getattr(prod, name) != getattr(staging, name)] == []
    assert staging.certificate.lineage == prod.certificate.lineage
    ours, theirs = environment(prod), environment(staging)
    differ = {name for name in theirs if ours.get(name) != theirs[name]}
    assert differ == {
        "APP_ENV",
        "APP_URL",
        "APP_DOMAIN",
        "REVERB_HOST",
        "MAIL_HOST",
        "MAIL_PORT",
        "MAIL_ENCRYPTION",
        "MAIL_USERNAME",
        "MAIL_PASSWORD",
        "MAIL_FROM_ADDRESS",
        "LIVEKIT_SERVER_URL",
    }
