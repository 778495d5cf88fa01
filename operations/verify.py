"""`backup verify`: the newest backup restored into a copy that is made for it and goes afterwards."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .backups import Backups, ask, configured, listed, require_backups
from .ci.smoke import Smoke, smoke
from .down import take_down
from .errors import OperationError
from .machine import ready_engine
from .paths import own_file
from .restore import SECOND, Damaged, Opened, hand_over, open_backup, private_key
from .run import run_up
from .stack import STAGING, ready_stack, store_secrets
from .steps import Steps
from .waiting import one_at_a_time

if TYPE_CHECKING:
    from components.observation import Endpoint
    from settings import Settings

PREFIX = "verify-"


@dataclass(frozen=True)
class Tested:
    """What became of a restore test.

    passed   whether the backup is whole, is what its manifest says, and the application works with it
    words    what was compared, or what was wrong
    """

    stack: str
    backup: str
    passed: bool
    words: str

    def line(self) -> str:
        """In one line."""
        return f"itqan {self.stack}: {self.backup} {'passed' if self.passed else 'FAILED'}: {self.words}"


def verify(name: str, key: Path | None, steps: Steps) -> Tested:
    """Tests a stack's newest backup, of the second place if there is one, and notes the result on its host.

    Arguments: `key`, as of `restore`.
    Raises OperationError when the test could not be made: nothing is noted then.
    """
    settings, source = configured(name, steps)
    require_backups(settings)
    private = private_key(key)
    scratch = f"{PREFIX}{name}"
    with one_at_a_time(scratch, steps, f"another restore test of {name} runs"):
        found = listed(source, name)
        place = _place(settings, found)
        chosen = next((e for e in found.entries if e.second), None) if place else found.named(None)
        if chosen is None:
            raise OperationError(f"{name}: the second place has no backup yet; type: ./itqan backup {name}")
        tested = _tested(settings, source, chosen.name, place, private, scratch, steps)
    note = shlex.join(["verify", "ok" if tested.passed else "failed", f"{chosen.name}: {tested.words}"])
    if ask(source, f"note {note}").status:
        raise OperationError(f"{tested.line()}; this could not be noted on {source.words}")
    return tested


def _place(settings: Settings, found: Backups) -> str:
    """Raises OperationError for a second place out of reach."""
    if settings.backup is None or settings.backup.second is None:
        return ""
    if found.unreached:
        raise OperationError(f"the second place cannot be used: {found.unreached}")
    return SECOND


def _tested(
    settings: Settings, source: Endpoint, backup: str, place: str, private: bytes, scratch: str, steps: Steps
) -> Tested:
    try:
        opened = open_backup(source, backup, private, place)
    except Damaged as error:
        return Tested(settings.stack, backup, False, str(error))
    with _scratch_copy(settings, opened, scratch, steps):
        copy, target = configured(scratch, steps)
        hand_over(source, backup, target, copy, place)
        with steps.step("restore", f"Restoring {backup} into {scratch}, compared with its manifest"):
            done = ask(target, f"restore {backup}", opened.keys)
        if done.status:
            return Tested(settings.stack, backup, False, done.words.removeprefix("itqan: backup: "))
        with steps.step("site", "Asking the application's pages"):
            tried = smoke(scratch, steps)
    return Tested(settings.stack, backup, not tried.failed, _words(opened, tried, place))


def _words(opened: Opened, tried: Smoke, place: str) -> str:
    if tried.failed:
        return "; ".join(f"{check.name}: {check.found}" for check in tried.failed)
    database, files = opened.manifest["database"], opened.manifest.get("files", {})
    return (
        f"{database['rows']} rows in {len(database['tables'])} tables and {files.get('count', 0)} files are "
        f"the manifest's, {len(tried.checks)} pages answer{', from the second place' if place else ''}"
    )


@contextmanager
def _scratch_copy(settings: Settings, opened: Opened, scratch: str, steps: Steps) -> Iterator[None]:
    """A copy at the backup's commit, from the same repository; what a killed test left of it goes before."""
    import yaml

    engine, file = ready_engine(steps), own_file(scratch)
    release = {
        "repository": settings.release.repository,
        "ref": str(opened.manifest["commit"]),
        "knownHosts": list(settings.release.known_hosts),
    }
    document = {"config": {"itqan:extends": STAGING, "itqan:release": release}}
    if file.exists():
        take_down(scratch, steps, images=False)
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    try:
        stack = ready_stack(scratch, steps)
        if settings.deploy_key:
            store_secrets(scratch, engine, {"deployKey": settings.deploy_key.get_secret_value()})
        run_up(stack)
        yield
    finally:
        take_down(scratch, steps, images=False)
        file.unlink(missing_ok=True)
