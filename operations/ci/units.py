"""Units from plain settings alone, without secrets, host or engine: what a fork's pull request may see."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OperationError
from ..paths import HOME, PYTHON, ROOT, stack_file
from ..stack import unusable
from .context import Context
from .markdown import block, code, details, table
from .plan import difference
from .texts import closing, marker, publish

# What a shipped stack has only once `init` has run; a fork may see none of it, or the same on both sides.
STAND_INS: Mapping[str, Any] = {
    "id": "stand-in",
    "release": {
        "repository": "ssh://stand.in/repository.git",
        "knownHosts": ["stand.in ssh-ed25519 AAAA"],
    },
}
COMMIT = "0" * 40
# Secrets that a stack needs because of a setting.
ASKED_FOR = (
    ("dns.provider", "rfc2136", "tsigSecret"),
    ("dns.provider", "hostinger", "hostingerToken"),
    ("observe", "observer", "observerPrivateKey"),
    ("backup.second.type", "sftp", "backupPrivateKey"),
    ("backup.second.type", "sftp", "backupMacKey"),
    ("backup.second.type", "s3", "backupMacKey"),
    ("backup.second.type", "s3", "backupAccessKey"),
    ("backup.second.type", "s3", "backupSecretKey"),
)
FIELDS = {
    "payload": "content",
    "expect": "expected state",
    "probe": "probe",
    "apply": "commands",
    "remove": "removal",
}
LIMIT = 120  # seconds for the units of the base


@dataclass(frozen=True)
class Difference:
    """A unit that two programs describe differently: + new, − gone, ~ changed; texts by what they are."""

    name: str
    sign: str
    diffs: Mapping[str, str]


def plain_units(stack: str) -> dict[str, dict[str, str]]:
    """The units of a stack by name, each with its texts; secrets are stand-ins that are the same everywhere.

    Raises ConfigurationError for plain settings that are wrong.
    """
    from components.platform import load_platform
    from components.server import server_units
    from settings import SettingsError, load, merged_config, stack_file_config

    try:
        own = stack_file_config(stack_file(stack))
        merged = merged_config(own, ROOT)
        settings = load(stack, {**own, **_stand_ins(merged)}, ROOT)
        units = server_units(settings, load_platform(settings.platform), COMMIT)
    except SettingsError as error:
        raise unusable(stack, error.problems) from None
    return {
        unit.name: {word: text for field, word in FIELDS.items() if (text := getattr(unit, field))}
        for unit in units
    }


def _stand_ins(merged: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration lacks because it is encrypted or not there yet."""
    from components.keys import public_key
    from settings import at, missing_secrets

    asked = [name for key, value, name in ASKED_FOR if at(merged, key) == value]
    made: dict[str, Any] = {name: _secret(name) for name in dict.fromkeys([*missing_secrets(merged), *asked])}
    if merged.get("target") != "host":
        return made
    made |= {name: _laid_over(merged.get(name), value) for name, value in STAND_INS.items()}
    connection = merged.get("connection")
    if isinstance(connection, dict) and not connection.get("hostKey"):
        made["connection"] = {**connection, "hostKey": public_key(_secret("sshHostPrivateKey"))}
    return made


def _laid_over(found: Any, stand_in: Any) -> Any:
    """What is there, completed."""
    if isinstance(found, dict) and isinstance(stand_in, dict):
        return {**stand_in, **found}
    return found if found is not None else stand_in


def _secret(name: str) -> str:
    """A key that everybody can make, so that it opens nothing; else words that nothing takes for a secret."""
    from settings import SECRETS

    generate = SECRETS[name].generate
    if generate and name.endswith("PrivateKey"):
        return generate(hashlib.shake_256(f"stand-in {name}".encode()).digest)
    return f"(secret:{name})"


def differences(
    base: Mapping[str, Mapping[str, str]], head: Mapping[str, Mapping[str, str]]
) -> list[Difference]:
    """The units in which two programs differ: in the head's order, then those that are gone."""
    made = []
    for name in [*head, *(name for name in base if name not in head)]:
        before, after = base.get(name, {}), head.get(name, {})
        if before == after:
            continue
        sign = "~" if before and after else "+" if after else "−"
        texts = {
            word: difference(before.get(word, ""), after.get(word, ""))
            for word in FIELDS.values()
            if before.get(word) != after.get(word)
        }
        made.append(Difference(name, sign, texts))
    return made


def compare_with_base(stack: str, context: Context) -> None:
    """Tells, in the run's summary, in which units a pull request differs from its base.

    Raises OperationError for settings that are wrong, or when the base's commit is not in the checkout.
    """
    head = plain_units(stack)
    base = _base_units(stack, base_commit(context))
    found = None if base is None else differences(base, head)
    parts = fork_parts(stack, len(head), found, context)
    publish(context, f"units-{stack}.md", marker("units", stack), parts, [], comment=False)


def fork_parts(stack: str, count: int, found: list[Difference] | None, context: Context) -> list[str]:
    """The text of a preview without secrets."""
    rows = [(item.sign, code(item.name), ", ".join(map(code, item.diffs))) for item in found or []]
    if found is None:
        said = (
            "The base cannot describe its units without secrets (it lacks `./itqan ci units`): no comparison."
        )
    else:
        said = f"**{len(rows) or 'No'}** of {count} units differ from the base."
    return [
        f"### {code(stack)}: what this pull request describes differently\n\n{said} Its settings are valid.",
        "**Not observed.** This pull request gets no secrets and no access to the host: the units of both "
        "sides were computed from the plain settings, with stand-ins for what is encrypted. Drift, and "
        "changes of encrypted values, cannot be seen here; somebody who may write to the repository sees "
        "them in a pull request from a branch of it.",
        table(("", "unit", "what"), rows),
        closing(context),
        *(
            details(
                f"{item.sign} {item.name}",
                "\n\n".join(f"{code(word)}\n\n{block(text, 'diff')}" for word, text in item.diffs.items()),
            )
            for item in found or []
        ),
    ]


def base_commit(context: Context) -> str:
    """What a pull request is compared with: the first parent of its merge, else what the event says.

    Raises OperationError when neither is in the checkout.
    """
    wanted = context.pull_request.base if context.pull_request else ""
    for name in (("HEAD^1",) if _commit("HEAD^2") else ()) + ((wanted,) if wanted else ()):
        if found := _commit(name):
            return found
    raise OperationError(
        f"the commit {wanted or 'of the base'} is not in this checkout; in a workflow: "
        "actions/checkout with fetch-depth: 2"
    )


def _commit(name: str) -> str:
    command = ["git", "rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _base_units(stack: str, commit: str) -> dict[str, dict[str, str]] | None:
    """The units as the base's own program describes them; None when that program cannot."""
    folder = HOME / "base"
    _git("worktree", "add", "--force", "--detach", str(folder), commit)
    try:
        program: list[str | Path] = [PYTHON, "-I", folder / "operations/__main__.py", "ci", "units", stack]
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=LIMIT)
    finally:
        _git("worktree", "remove", "--force", str(folder))
    found: dict[str, dict[str, str]] | None = None
    with suppress(ValueError):
        found = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def _git(*words: str) -> None:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OperationError(f"git {' '.join(words[:2])}: {done.stderr.strip()}")
