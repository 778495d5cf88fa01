"""Surroundings: what is known of the host beyond the units, and what nothing accounts for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from components.observation import State
from components.platform import Platform
from components.render import text
from components.server import server_units
from components.surroundings import acceptance, compared, fingerprint, judged, normalised, unknown
from settings import Settings
from settings.fields import Surroundings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@here"
COMMIT = "0" * 40


@pytest.fixture
def ask(staging: Settings, debian: Platform) -> Callable[..., list[str]]:
    """A function: of the lines of one surrounding, those that nothing accounts for."""
    units = server_units(staging, debian, COMMIT)

    def asked(name: str, *lines: str, settings: Settings = staging) -> list[str]:
        [one] = [s for s in judged(settings, units) if s.name == name]
        found = unknown([one], [State(one.unit, "\n".join(lines))], settings.accepted)
        return list(found[0].lines) if found else []

    return asked


def test_each_can_be_accepted(staging: Settings, debian: Platform) -> None:
    names = [s.name for s in (*judged(staging, []), *compared(staging, debian))]
    assert sorted(names) == sorted(get_args(Surroundings))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("logins", "login root uid 0 /bin/bash password"),
        ("logins", "login deploy uid 1000 /bin/bash"),
        ("sudo", "sudo /etc/sudoers.d/deploy deploy ALL=(ALL) NOPASSWD:ALL"),
        ("sudo", "group sudo deploy"),
        ("crontabs", "crontab www-data * * * * * cd /var/www/x && php artisan schedule:run"),
        ("files", "file /etc/php/8.4/fpm/pool.d/www.conf changed"),
        ("files", "file /etc/nginx/sites-available/itqan-platform of no package"),
        ("files", "link /etc/nginx/sites-enabled/itqan-platform -> ../sites-available/itqan-platform"),
        ("files", "link /etc/php/8.4/cli/conf.d/20-zip.ini -> /etc/php/8.4/mods-available/zip.ini"),
        ("sockets", "socket tcp [::]:443 nginx"),
        ("sockets", "socket tcp 127.0.0.1:3306 mariadbd"),
        ("sockets", "socket tcp [::1]:6379 redis-server"),
        ("sockets", "socket tcp 0.0.0.0:8080 php"),
        ("database", "account root@localhost ALL on *"),
        ("database", "account itqan@127.0.0.1 on itqan_platform"),
    ],
)
def test_what_is_asked_for_is_known(ask: Callable[..., list[str]], name: str, line: str) -> None:
    assert ask(name, line) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("logins", "login toor uid 0 /bin/bash"),
        ("logins", "login deploy uid 0 /bin/bash"),
        ("keys", "key root (RSA) SHA256:abc"),
        ("sudo", "sudo /etc/sudoers Defaults !authenticate"),
        ("sudo", "group docker deploy"),
        ("crontabs", "crontab root @daily /root/x.sh"),
        ("files", "file /etc/nginx/nginx.conf changed"),
        ("files", "file /etc/nginx/mime.types missing"),
        ("sockets", "socket tcp 0.0.0.0:3306 mariadbd"),
        ("sockets", "socket udp 0.0.0.0:161 snmpd"),
        ("units", "unit /etc/systemd/system/x.service"),
        ("database", "account root@% ALL on *"),
        ("database", "account itqan@% on itqan_platform"),
        ("database", "variable max_connections set by hand to 77"),
    ],
)
def test_everything_else_is_not(ask: Callable[..., list[str]], name: str, line: str) -> None:
    assert ask(name, line) == [line]


def test_reverb_on_loopback_accounts_for_no_public_port(
    ask: Callable[..., list[str]], stack: Callable[..., Settings]
) -> None:
    strict = stack("staging", hardening="strict")
    assert ask("sockets", "socket tcp 0.0.0.0:8080 php", settings=strict)


def test_the_keys_of_the_settings_are_known(
    ask: Callable[..., list[str]], stack: Callable[..., Settings]
) -> None:
    server = {"authorizedKeys": [KEY]}
    settings = stack("staging", server=server)
    line = f"key deploy (ED25519) {fingerprint(KEY)}"
    assert ask("keys", line) == [line]
    assert ask("keys", line, settings=settings) == []


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    said = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert fingerprint(KEY) == said.stdout.split()[1]


def test_the_line_to_accept_accepts_exactly_that(staging: Settings) -> None:
    [logins] = [s for s in judged(staging, []) if s.name == "logins"]
    line = "login eve[1]* uid 1001 /bin/bash"
    found = State(logins.unit, f"{line}\nlogin eve1x uid 1002 /bin/bash")
    [item] = unknown([logins], [found], staging.accepted)
    command = acceptance(staging.set_command, staging.accepted, item)
    pattern = command.rsplit(" '", 1)[1].rstrip("'")
    assert "--path 'itqan:accepted.logins[0]'" in command
    [left] = unknown([logins], [found], {"logins": [pattern]})
    assert left.lines == ("login eve1x uid 1002 /bin/bash",)


def test_lines_of_two_hosts_are_compared_without_their_names(staging: Settings) -> None:
    line = f"a {staging.domain} {staging.server_address} {staging.server.hostname}"
    assert normalised(line, staging) == "a DOMAIN ADDRESS HOSTNAME"


def test_a_changed_file_of_a_package_and_a_stray_one_are_told(tmp_path: Path) -> None:
    """dpkg's database and ucf's as they stand on a host, for a folder of its own."""
    folder = tmp_path / "etc"
    folder.mkdir()
    contents = {"right": "1\n", "changed": "2\n", "placed": "3\n", "stray": "4\n"}
    for name, content in contents.items():
        (folder / name).write_text(content)
    right = "b026324c6904b2a9cb4b88d6d61c81d1"
    placed = "6d7fce9fee471194aa8b5b6e47267f03"
    status, ucf = tmp_path / "status", tmp_path / "ucf"
    status.write_text(
        f"Package: a\nStatus: install ok installed\nConffiles:\n {folder}/right {right}\n"
        f" {folder}/changed {right}\n {folder}/gone {right}\n {folder}/old {right} obsolete\nDescription: a\n"
    )
    ucf.write_text(f"{placed}  {folder}/placed\n")
    look = text("host/surroundings.sh").replace("/var/lib/dpkg/status", str(status))
    look = look.replace("/var/lib/ucf/hashfile", str(ucf))
    said = subprocess.run(
        ["bash", "-c", f"{look}\nlook_files {folder}"], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [
        f"file {folder}/changed changed",
        f"file {folder}/gone missing",
        f"file {folder}/stray of no package",
    ]


def test_what_looks_secret_in_a_crontab_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "root").write_text(
        "MYSQL_PWD=geheim1 mysqldump -pgeheim2 x\n"
        "@daily curl ftp://me:geheim3@example.org/?token=geheim4 --password geheim5\n"
        "@daily rsync -p 22 https://example.org:8080/a@b\n"
    )
    look = text("host/surroundings.sh").replace("/var/spool/cron/crontabs", str(tmp_path))
    done = subprocess.run(
        ["bash", "-c", f"{look}\nlook_crontabs"], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "crontab root MYSQL_PWD=… mysqldump -p… x\n"
        "crontab root @daily curl ftp://me:…@example.org/?token=… --password …\n"
        "crontab root @daily rsync -p 22 https://example.org:8080/a@b\n"
    )
