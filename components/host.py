"""The host itself: preflight, runner, name, accounts, sudo, directories."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .render import host_script, managed
from .unit import CONVERGE, Unit, call, file_unit, lines


def runner_script() -> str:
    """The runner as one file: the library and the program."""
    return host_script("host/converge.sh")


def runner(settings: Settings) -> Unit:
    """The runner; the only unit that it does not converge itself."""
    return file_unit("host/runner", CONVERGE, runner_script(), mode="755", removable=False)


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Server Overview" and "Directory Structure" of the document."""
    return [
        _preflight(settings, platform),
        _hostname(settings),
        _accounts(settings),
        *_keys(settings),
        _sudo(settings),
        _directories(settings),
    ]


def _preflight(settings: Settings, platform: Platform) -> Unit:
    """What must be so before anything is changed: operating system, memory, disk."""
    server, release = settings.server, platform.release
    wanted = (release.id, release.version, server.minimum_memory_gb, server.minimum_disk_gb)
    return Unit(
        name="host/preflight",
        probe=call("probe_host", *wanted),
        expect=f"system {platform.release.id} {platform.release.version}\nmemory enough\ndisk enough",
        apply=call("refuse_host", *wanted),
    )


def _hostname(settings: Settings) -> Unit:
    name = settings.server.hostname
    return Unit(
        name="host/name",
        probe="printf 'hostname %s\\n' \"$(hostname)\"",
        expect=f"hostname {name}",
        apply=call("hostnamectl", "set-hostname", name),
    )


def _accounts(settings: Settings) -> Unit:
    """The deploy user, in the web user's group so that both work on the same files."""
    user, web = settings.server.deploy_user, settings.server.web_user
    return Unit(
        name="host/accounts",
        probe=call("probe_user", user, web),
        expect=f"user {user} /home/{user}:/bin/bash\nuser {user} in {web}",
        apply=call("ensure_user", user, web),
    )


def _keys(settings: Settings) -> list[Unit]:
    """Login keys of the deploy user, when the settings name any; else the host's own stay."""
    keys, user = settings.server.authorized_keys, settings.server.deploy_user
    if not keys:
        return []
    return [
        file_unit(
            "host/authorized-keys",
            f"/home/{user}/.ssh/authorized_keys",
            "".join(f"{key}\n" for key in keys),
            owner=f"{user}:{user}",
            mode="600",
            removable=False,
            then=lines(
                call("chown", f"{user}:{user}", f"/home/{user}/.ssh"),
                call("chmod", "700", f"/home/{user}/.ssh"),
            ),
        )
    ]


def _sudo(settings: Settings) -> Unit:
    """The document's deploy user runs sudo for supervisorctl, systemctl, chown, and Pulumi: no password."""
    user = settings.server.deploy_user
    return file_unit(
        "host/sudo",
        f"/etc/sudoers.d/{user}",
        f"# {managed('components/host.py')}\n{user} ALL=(ALL) NOPASSWD:ALL\n",
        mode="440",
        removable=False,
        test=("visudo", "-cq"),
    )


def _directories(settings: Settings) -> Unit:
    """The application's root, the backups and the place for the stack's own files."""
    deploy, web = settings.server.deploy_user, settings.server.web_user
    application = settings.permissions.application
    wanted = [
        (settings.application.path, application.owner, application.mode),
        (settings.application.backups, f"{deploy}:{deploy}", "750"),
        ("/etc/itqan", f"root:{web}", "750"),
    ]
    return Unit(
        name="host/directories",
        probe=call("probe_directory", *(path for path, _, _ in wanted)),
        expect="\n".join(f"directory {path} {owner} {mode}" for path, owner, mode in wanted),
        apply="\n".join(call("ensure_directory", path, owner, mode) for path, owner, mode in wanted),
    )


class Host(Part):
    """The host itself."""

    part = "host"
