"""The server from inside: services, processes, files."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from .copy import Copy, poll

SERVICES = ("nginx", "php8.4-fpm", "mysql", "redis-server", "supervisor", "cron", "certbot.timer", "ssh")
ROOT = "/var/www/itqan-platform"


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_active(server: Host, name: str) -> None:
    assert server.service(name).is_running


def test_no_unit_of_systemd_has_failed(copy: Copy) -> None:
    assert copy.bash("systemctl --failed --no-legend") == ""


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        ("", "deploy", "www-data", 0o755),
        ("/public", "deploy", "www-data", 0o755),
        ("/artisan", "deploy", "www-data", 0o755),
        ("/storage", "deploy", "www-data", 0o775),
        ("/bootstrap/cache", "deploy", "www-data", 0o775),
        ("/.env", "deploy", "deploy", 0o755),
    ],
)
def test_the_table_of_file_permissions(server: Host, path: str, user: str, group: str, mode: int) -> None:
    file = server.file(ROOT + path)
    assert (file.user, file.group, file.mode) == (user, group, mode)


def test_the_database_and_redis_are_local_only(server: Host) -> None:
    for port in (3306, 6379):
        sockets = [
            s for s in server.socket.get_listening_sockets() if s.startswith("tcp") and s.endswith(f":{port}")
        ]
        assert sockets and all("127.0.0.1" in s or "::1" in s for s in sockets), sockets


def test_a_killed_worker_comes_back(copy: Copy) -> None:
    workers = "pgrep -f '^php artisan queue:work' | sort"
    before = copy.bash(workers).split()
    assert len(before) == 2
    copy.bash(f"kill -9 {before[0]}")

    def replaced() -> bool:
        now = copy.bash(workers).split()
        return len(now) == 2 and before[0] not in now

    poll(replaced, 15, "a new worker in the place of the killed one")


def test_a_renewal_is_served(copy: Copy) -> None:
    before = copy.served_certificate()
    copy.bash("certbot renew -q --force-renewal --no-random-sleep-on-renew")
    poll(lambda: copy.served_certificate() != before, 20, "the renewed certificate at nginx")
    on_disk = copy.bash(
        "openssl x509 -in /etc/letsencrypt/live/itqanway.com-0001/cert.pem -noout -fingerprint -sha256"
    )
    assert copy.served_certificate() == on_disk


def test_no_secret_stands_in_arguments_or_logs(copy: Copy) -> None:
    password = copy.bash(f"sed -n 's/^DB_PASSWORD=//p' {ROOT}/.env").strip('"')
    assert len(password) >= 16
    arguments = copy.bash("ps -eo args=")
    journal = copy.bash("journalctl -b -q")
    assert password not in arguments
    assert password not in journal
