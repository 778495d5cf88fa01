"""Backups: the tool, its settings, the second place's credentials, the nightly run."""

from __future__ import annotations

import shlex
from dataclasses import replace

from settings import SecondPlace, Settings, backup_folder

from . import digests
from .part import Part
from .platform import Platform
from .render import host_script, managed, render, text
from .services import installed_service
from .unit import Unit, call, file_unit, lines

TOOL = "/usr/local/sbin/itqan-backup"
BOOK = "/usr/local/sbin/itqan-backup-book"
KEY, KNOWN_HOSTS = "/etc/itqan/backup.key", "/etc/itqan/backup.known_hosts"
MAC = "/etc/itqan/backup.mac"
RCLONE = "/etc/itqan/backup.rclone"
SERVICE, TIMER = "itqan-backup.service", "itqan-backup.timer"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Backup" of the document, made every night; nothing where no public key is configured."""
    if settings.backup is None:
        return []
    place = settings.backup.second
    return [
        packages(*package_names(settings)),
        *tools(),
        _conf(settings),
        *([_mac(settings), *_credentials(settings, place)] if place else []),
        _service(),
        _timer(settings.backup.time),
    ]


def package_names(settings: Settings) -> list[str]:
    """What backups need beyond the platform's packages."""
    if settings.backup is None:
        return []
    place = settings.backup.second
    return ["age", *(["rclone"] if place and place.type == "s3" else [])]


def packages(*names: str) -> Unit:
    """A unit of its own: copies, which have no backups, share the image that packages/installed makes."""
    return Unit(
        name="backup/packages",
        probe=call("probe_package", *names),
        expect="\n".join(f"package {name} installed" for name in names),
        apply=lines(call("apt_install", *names), "restore_holds"),
    )


def tools() -> list[Unit]:
    """What makes and restores backups; a copy that one is restored into gets these too."""
    book = f"#!/usr/bin/python3 -I\n# {managed('files/backup/book.py')}\n{text('backup/book.py')}"
    return [
        file_unit("backup/book", BOOK, book, mode="755"),
        file_unit("backup/tool", TOOL, host_script("backup/backup.sh"), mode="755"),
    ]


def _conf(settings: Settings) -> Unit:
    """What itqan-backup reads beside the release's: assignments of bash."""
    backup = settings.backup
    assert backup is not None
    keep, place = backup.keep, backup.second
    values = {
        "RECIPIENTS": " ".join(backup.keys),
        "KEEP": f"{keep.daily} {keep.weekly} {keep.monthly}",
        "FILES": " ".join(backup.files),
    }
    if place:
        values |= {
            "PLACE": place.type,
            "PLACE_WORDS": place.words,
            "PLACE_FOLDER": backup_folder(place, settings.stack),
            "PLACE_HOST": place.host or "",
            "PLACE_PORT": str(place.port),
            "PLACE_USER": place.user or "",
        }
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    content = f"# {managed('components/backups.py')}\n{assignments}"
    return file_unit("backup/settings", "/etc/itqan/backup.conf", content, mode="644")


def _mac(settings: Settings) -> Unit:
    """What this host knows its own backups by at the second place; a file of root's alone."""
    assert settings.backup_mac_key is not None  # settings/rules.py
    content = f"{settings.backup_mac_key.get_secret_value()}\n"
    return file_unit("backup/mac", MAC, content, mode="600", key=digests.key(settings))


def _credentials(settings: Settings, place: SecondPlace) -> list[Unit]:
    """What lets this host in at the second place; files of root's alone."""
    if place.type == "s3":
        return [
            file_unit("backup/place", RCLONE, _rclone(settings, place), mode="600", key=digests.key(settings))
        ]
    assert settings.backup_private_key is not None  # settings/rules.py
    host = place.host if place.port == 22 else f"[{place.host}]:{place.port}"
    return [
        file_unit("backup/known-hosts", KNOWN_HOSTS, f"{host} {place.host_key}\n", mode="644"),
        file_unit(
            "backup/place",
            KEY,
            settings.backup_private_key.get_secret_value(),
            mode="600",
            key=digests.key(settings),
        ),
    ]


def _rclone(settings: Settings, place: SecondPlace) -> str:
    """rclone's file for the remote `second` (rclone.org/s3)."""
    access, secret = settings.backup_access_key, settings.backup_secret_key
    assert access is not None and secret is not None  # settings/rules.py
    values = {
        "type": "s3",
        "provider": "Other",
        "env_auth": "false",
        "endpoint": place.endpoint,
        "region": place.region,
        "access_key_id": access.get_secret_value(),
        "secret_access_key": secret.get_secret_value(),
        "no_check_bucket": "true",
    }
    return f"# {managed('components/backups.py')}\n[second]\n" + "".join(
        f"{name} = {value}\n" for name, value in values.items()
    )


def _service() -> Unit:
    made = file_unit(
        "backup/service",
        f"/etc/systemd/system/{SERVICE}",
        render("backup/backup.service.j2", tool=TOOL),
        then="systemctl daemon-reload",
    )
    return replace(made, remove=lines(made.remove or "", "systemctl daemon-reload"))


def _timer(time: str) -> Unit:
    content = render("backup/backup.timer.j2", time=time)
    return installed_service("backup/timer", TIMER, content, call("systemctl", "restart", TIMER))


class Backups(Part):
    """What is made every night."""

    part = "backup"
