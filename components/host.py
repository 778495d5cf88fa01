"""The host itself: preflight, owner, runner, name, accounts, sudo, directories."""

from __future__ import annotations

from settings import Settings

from . import digests, preflight
from .keys import public_key
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
        preflight.unit(settings, platform),
        preflight.owner(settings),
        digests.key_unit(settings),
        _hostname(settings),
        _accounts(settings),
        _login(settings),
        _sudo(settings),
        _directories(settings),
    ]


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


def _login(settings: Settings) -> Unit:
    """The stack logs in as the deploy user; that user's other keys stay, unless the settings name any."""
    keys, user = settings.server.authorized_keys, settings.server.deploy_user
    own = public_key(settings.ssh_private_key.get_secret_value())
    if not keys:
        return Unit(
            name="host/login-key",
            probe=call("probe_login_key", user, own),
            expect=f"login key of {user} present",
            apply=call("ensure_login_key", user, own),
        )
    everyone = keys if any(own in key for key in keys) else [*keys, own]
    return file_unit(
        "host/authorized-keys",
        f"/home/{user}/.ssh/authorized_keys",
        "".join(f"{key}\n" for key in everyone),
        owner=f"{user}:{user}",
        mode="600",
        removable=False,
        then=lines(
            call("chown", f"{user}:{user}", f"/home/{user}/.ssh"),
            call("chmod", "700", f"/home/{user}/.ssh"),
        ),
    )


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
