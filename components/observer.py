"""The observer: an account whose key starts the observation of the last `up`, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from settings import Settings

from . import findings, record, surroundings
from .observation import OBSERVER
from .part import Part
from .platform import Platform
from .render import managed, render
from .unit import Unit, call, file_unit, lines

PROGRAM = "/usr/local/sbin/itqan-observe"
# Root's: the account can change nothing that sshd reads of it, and sshd asks no more (StrictModes).
HOME = "/usr/local/lib/itqan-observer"
SHELL = f"{HOME}/shell"
COMMENT = "itqan observer"  # by which an account is known to be ours


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """The account: no password, a home that is root's, a key that starts one command as root."""
    if not settings.observer:
        return []
    return [_shell(), _account(), _key(settings.observer.key), _sudo()]


def _shell() -> Unit:
    return file_unit("observer/shell", SHELL, render("observer/shell.sh.j2", program=PROGRAM), mode="755")


def _account() -> Unit:
    return Unit(
        name="observer/account",
        probe=call("probe_locked_account", OBSERVER),
        expect=f"account {OBSERVER} {COMMENT}:{HOME}:{SHELL}\naccount {OBSERVER} password none groups none",
        apply=call("ensure_locked_account", OBSERVER, COMMENT, HOME, SHELL),
        remove=call("userdel", OBSERVER),
    )


def _key(key: str) -> Unit:
    """`restrict`: no forwarding, no terminal, no ~/.ssh/rc, nor what later versions of sshd add (sshd(8))."""
    folder = f"{HOME}/.ssh"
    made = file_unit(
        "observer/key",
        f"{folder}/authorized_keys",
        f'# {managed("components/observer.py")}\nrestrict,command="sudo -n {PROGRAM}" {key}\n',
        probe=lines(call("probe_directory", HOME, folder), call("probe_entries", folder)),
        expect=(
            f"directory {HOME} root:root 755\ndirectory {folder} root:root 755\n"
            f"entries {folder} authorized_keys"
        ),
        before=lines(
            call("ensure_directory", HOME, "root:root", "755"),
            call("ensure_directory", folder, "root:root", "755"),
            call("keep_only", folder, "*", "authorized_keys"),
        ),
    )
    return replace(made, remove=call("rm", "-rf", HOME))


def _sudo() -> Unit:
    """The empty string: without any argument (sudoers(5))."""
    return file_unit(
        "observer/sudo",
        f"/etc/sudoers.d/{OBSERVER}",
        f'# {managed("components/observer.py")}\n{OBSERVER} ALL=(root) NOPASSWD: {PROGRAM} ""\n',
        mode="440",
        test=("visudo", "-cq"),
    )


def recorder(settings: Settings, everything: Sequence[Unit]) -> list[Unit]:
    """The unit that leaves the observation of all others on the host; it comes after them."""
    if not settings.observer:
        return []
    itself = file_unit("observer/program", PROGRAM, "", mode="700")
    judged = surroundings.judged(settings, everything)
    content = record.program(settings, everything, itself, judged, findings.probes(settings))
    return [file_unit("observer/program", PROGRAM, content, mode="700")]


class Observer(Part):
    """Eyes that cannot touch."""

    part = "observer"
