"""`releases`: the log of releases that the host keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .harmless import harmless
from .machine import ready_engine
from .steps import Steps
from .table import grouped

if TYPE_CHECKING:
    from components.observation import Endpoint

HEAD = ("when", "commit", "from", "ref", "kind", "took", "by", "result")
SHOWN = 20  # of the newest, in the table
SHORT = 12  # digits of a commit


@dataclass(frozen=True)
class Release:
    """A release as the host noted it.

    when      the end, ISO 8601, UTC
    commit    what was to run, its author, and from which commit; `ref`, as it was asked for
    kind      full, quick, or caches: the commit was there already
    seconds   how long it took
    by        who started it, and from where
    backup    the dump that was made before its migrations; empty without one
    result    `released`, or what became of it; `step`, where it failed
    """

    when: str
    commit: str
    author: str
    ref: str
    kind: str
    seconds: float
    by: str
    backup: str
    result: str
    step: str
    origin: str

    @property
    def succeeded(self) -> bool:
        """Whether it runs, or ran."""
        return self.result == "released"


@dataclass(frozen=True)
class Session:
    """Somebody was on the host (operations/session.py): when, what was started, by whom and from where."""

    when: str
    session: str
    by: str


@dataclass(frozen=True)
class Releases:
    """All releases of a stack's host, and who was on it, the oldest first."""

    stack: str
    host: str
    entries: Sequence[Release]
    sessions: Sequence[Session] = ()

    def table(self) -> str:
        """The newest as text, below their days; then the newest sessions."""
        visits = [f"  {visit.when}  {visit.session}  by {visit.by}" for visit in self.sessions[-SHOWN:]]
        return "\n".join([self._releases(), *(["sessions on the host:", *visits] if visits else [])])

    def _releases(self) -> str:
        if not self.entries:
            return f"itqan {self.stack}, {self.host}: no release was noted yet"
        shown = self.entries[-SHOWN:]
        rows = [(entry.when.partition("T")[0], _cells(entry)) for entry in shown]
        older = len(self.entries) - len(shown)
        closing = f"itqan {self.stack}, {self.host}: {len(self.entries)} noted" + (
            f", {older} older ones with --json" if older else ""
        )
        return "\n".join([*grouped(HEAD, rows), "", closing])

    def to_json(self) -> str:
        """All of them as one JSON object."""
        releases = [{_named(key): value for key, value in asdict(entry).items()} for entry in self.entries]
        sessions = [asdict(visit) for visit in self.sessions]
        shown = {"stack": self.stack, "host": self.host, "releases": releases, "sessions": sessions}
        return json.dumps(shown, indent=2, ensure_ascii=False)


def releases_of(name: str, steps: Steps) -> Releases:
    """What a stack's host noted of releases; changes nothing there.

    Raises ConfigurationError for a wrong configuration, UnseenHost when the host cannot be looked at.
    """
    from components.keys import UnreadableKey
    from components.observation import Endpoint

    from .audit import read_settings
    from .errors import ConfigurationError

    [settings] = read_settings([name], ready_engine(steps))
    try:
        endpoint = Endpoint.of(settings)
    except UnreadableKey as error:
        raise ConfigurationError(str(error)) from None
    text = noted(endpoint)
    return Releases(name, endpoint.words, parsed(text), sessions(text))


def noted(endpoint: Endpoint) -> str:
    """The log that a host keeps, the oldest line first. Raises UnseenHost."""
    from components.release import log_unit

    from .hosts import look

    [[state]] = look([(endpoint, [log_unit()])])
    return state.found


def sessions(text: str) -> list[Session]:
    """The lines of the log that tell of a session."""
    made = []
    for line in text.splitlines():
        try:
            visit = Session(**json.loads(line))
        except (ValueError, TypeError):
            continue
        made.append(Session(*(harmless(str(word)) for word in (visit.when, visit.session, visit.by))))
    return made


def parsed(text: str) -> list[Release]:
    """The lines of the log that tell of a release; one that was cut by a loss of power is left out."""
    made = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            made.append(Release(**{_field(key): value for key, value in entry.items()}))
        except (ValueError, TypeError, AttributeError):
            continue
    return made


def _field(key: str) -> str:
    """`from` is a word of Python."""
    return "origin" if key == "from" else key


def _named(field: str) -> str:
    return "from" if field == "origin" else field


def _cells(entry: Release) -> tuple[str, ...]:
    step = f" in {entry.step}" if entry.step else ""
    return (
        entry.when.partition("T")[2].removesuffix("Z"),
        entry.commit[:SHORT],
        entry.origin[:SHORT] or "nothing",
        entry.ref if len(entry.ref) < 2 * SHORT else entry.ref[:SHORT],
        entry.kind,
        f"{entry.seconds:.1f} s",
        entry.by,
        f"{entry.result}{step}",
    )
