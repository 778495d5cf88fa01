"""`fix`: a runbook: what is wrong, its steps until it is cured, and what is left for a person.

It works without the engine. A step is done by the runner on the host, so what has begun goes on to its end.
"""

from __future__ import annotations

import asyncio
import getpass
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .errors import OperationError
from .health import see, stack_settings
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import State
    from components.runbooks import Diagnosis, Finding, Step
    from components.side import Side
    from components.unit import Unit
    from settings import Settings

    from .health import Sight
    from .outside import Way

RUNNER = "host/runner"
# On the host: the word of the newest step, by which the runner knows that it was done.
DONE = "/run/itqan-fix"
# Seconds between two looks while a step has not shown yet.
PERIOD = 0.3
TOLD = 200  # letters of a finding
GOES_ON = "what has begun goes on to its end on the host; typed again, the runbook looks anew"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a runbook ended.

    found   whether anything was wrong
    cured   whether nothing is any more
    """

    found: bool
    cured: bool


def fix(
    name: str, book: str, steps: Steps, show: Say, *, dry_run: bool = False, retry: bool = False
) -> Outcome:
    """Works through a runbook of a stack.

    Arguments: `book`, a name of `components.runbooks.NAMES`; `show`, called with each line of the report;
    `dry_run`, whether to stop after the plan; `retry`, whether jobs that failed for good are tried again.
    Raises ConfigurationError for a wrong configuration, OperationError when the host cannot be reached.
    """
    return _Fix(*stack_settings(name, steps), book, show, steps, retry).run(dry_run)


class _Fix:
    """One run of a runbook."""

    def __init__(self, settings: Settings, way: Way, name: str, show: Say, steps: Steps, retry: bool) -> None:
        from components.platform import load_platform
        from components.runbooks import looks, runbooks

        self._settings, self._way, self._show, self._steps = settings, way, show, steps
        self._books = runbooks(settings, load_platform(settings.platform), retry=retry)
        self._book = self._books[name]
        self._further = looks(self._books, name)
        self._runner_is_there = False

    def run(self, dry_run: bool) -> Outcome:
        """See `fix`."""
        from components.runbooks import plan

        sight, found = self._look()
        stack, name = self._settings.stack, self._book.name
        self._show(f"itqan {stack}, {name} (document: {self._book.section}), {sight.side.host}")
        self._tell(found)
        if found.cured:
            self._tell_beside(sight)
            self._show("nothing is wrong; nothing was done")
            return Outcome(found=False, cured=True)
        if found.elsewhere:
            self._tell_elsewhere(found, "nothing was done; first")
            return Outcome(found=True, cured=False)
        if found.release:
            self._tell_release(found, "nothing was done")
            return Outcome(found=True, cured=False)
        if not found.troubles:
            self._show("nothing that could be judged is wrong; nothing was done")
            return Outcome(found=True, cured=False)
        steps = plan(self._book, found)
        if dry_run:
            self._tell_plan(steps, found)
            return Outcome(found=True, cured=False)
        return self._work(sight, found)

    def _look(self) -> tuple[Sight, Diagnosis]:
        from components.runbooks import diagnosis

        sight = see(self._settings, self._way, self._further, busy=True)
        states = {state.unit.name: state for state in sight.states}
        return sight, diagnosis(self._books, self._book.name, sight.seen, states)

    # -- the report

    def _tell(self, found: Diagnosis) -> None:
        from components.health import release

        if step := release.died_in(found.seen):
            self._show(
                f"  a release did not get to its end, it was in {_plain(step)}: {release.settle(found.seen)}"
            )
        for finding in (*found.troubles, *found.unread):
            self._show(f"  {_words(finding)}")
        for line in found.told:
            self._show(f"  {_plain(line)}")

    def _tell_elsewhere(self, found: Diagnosis, then: str) -> None:
        name, finding = next(iter(found.elsewhere.items()))
        self._show(f"the cause lies elsewhere: {_words(finding)}")
        self._show(f"{then}: ./itqan fix {self._settings.stack} {name}")

    def _tell_release(self, found: Diagnosis, then: str) -> None:
        self._show(f"a release is under way: {_plain(found.release)}")
        end = f"./itqan logs {self._settings.stack} release -f"
        self._show(f"{then}: it may be all that is wrong; type it again after its end: {end}")

    def _tell_beside(self, sight: Sight) -> None:
        """What health finds bad, too, and has another runbook: two things can be broken at once."""
        from components.health import checks, judged

        others: dict[str, list[str]] = {}
        for result in judged(checks(self._settings, sight.seen.platform), sight.seen):
            line = result.verdict.help.partition(";")[0]
            if result.verdict.state == "bad" and line.startswith("./itqan fix "):
                others.setdefault(line, []).append(result.name)
        others.pop(f"./itqan fix {self._settings.stack} {self._book.name}", None)
        for line, names in others.items():
            self._show(f"bad beside it: {', '.join(names)}: {line}")

    def _tell_plan(self, steps: Sequence[Step], found: Diagnosis) -> None:
        self._show("plan, until it is cured:" if steps else "no step of the runbook can help")
        for number, step in enumerate(steps, 1):
            self._show(f"  {number}. {step.words}")
        if not steps:
            self._tell_person(found)

    def _tell_person(self, found: Diagnosis) -> None:
        lines = [_plain(line) for line in self._book.person(found.seen)]
        if lines:
            self._show("for a person to look at:")
        for line in lines:
            self._show(f"  {line}")

    # -- the work

    def _work(self, sight: Sight, found: Diagnosis) -> Outcome:
        """Step after step, each looked at; what a step has changed decides whether the next one can help."""
        number = 0
        for step in self._book.steps:
            if found.release:
                break
            if not self._can_help(step, found):
                continue
            number += 1
            self._steps.say(f"▸ {number}. {step.words}")
            done = self._do(sight, step, found)
            sight, found = self._look_until_it_shows(step if done else None)
            if found.cured:
                self._tell_beside(sight)
                self._show(f"cured by step {number}: {step.words}")
                return Outcome(found=True, cured=True)
            self._steps.say(
                f"  {'done' if done else 'failed'}; still: {'; '.join(map(_words, found.troubles))}"
            )
        self._show("not cured" if number else "no step of the runbook can help")
        self._tell(found)
        if found.elsewhere:
            self._tell_elsewhere(found, "next")
        if found.release:
            self._tell_release(found, "stopped")
        self._tell_person(found)
        return Outcome(found=True, cured=False)

    def _can_help(self, step: Step, found: Diagnosis) -> bool:
        from components.runbooks import plan

        return step in plan(self._book, found)

    def _look_until_it_shows(self, step: Step | None) -> tuple[Sight, Diagnosis]:
        """Looks again until it is cured, or what the step does must have shown."""
        deadline = time.monotonic() + (step.patience if step else 0)
        while True:
            sight, found = self._look()
            if found.cured or time.monotonic() >= deadline or (step and self._is_done(step, found)):
                return sight, found
            time.sleep(PERIOD)

    def _is_done(self, step: Step, found: Diagnosis) -> bool:
        """Whether a unit that was brought is as expected, so that more of the same waiting brings nothing."""
        return bool(step.unit) and step.unit not in found.differing and not self._is_symptom_left(found)

    @staticmethod
    def _is_symptom_left(found: Diagnosis) -> bool:
        return any(finding.state != "differs" for finding in found.troubles)

    def _do(self, sight: Sight, step: Step, found: Diagnosis) -> bool:
        """Whether a step did what it does. Raises OperationError for a host out of reach."""
        from components.observation import Unreachable, perform

        side = sight.side
        self._bring_runner(sight)
        words = f"{self._settings.stack} {self._book.name}: {step.words}; found: "
        words += "; ".join(map(_words, found.troubles))
        unit = self._unit_of(sight, step, f"{words}; by {_caller()}")
        try:
            return asyncio.run(perform(side.endpoint, unit, side.settings.owner, self._heard))
        except Unreachable as error:
            raise OperationError(f"{error}\n  {GOES_ON}") from None
        except KeyboardInterrupt:
            self._steps.say(f"  {GOES_ON}")
            raise

    def _heard(self, line: str) -> None:
        if line.strip():
            self._steps.say(f"  {_plain(line.strip())}")

    def _unit_of(self, sight: Sight, step: Step, note: str) -> Unit:
        """A step as a unit: the stack's own, or one whose state is that it was done."""
        from components.render import text
        from components.unit import Unit, call, lines

        noted = f"{call('logger', '-t', 'itqan-fix', '--', note)} || true"
        if step.unit:
            unit = next(unit for unit in sight.side.units if unit.name == step.unit)
            state = next(state for state in sight.states if state.unit.name == step.unit)
            return replace(unit, apply=lines(noted, _keep(state), unit.apply))
        word = secrets.token_hex(8)
        return Unit(
            f"fix/{self._book.name}",
            probe=f"cat {DONE} 2>/dev/null",
            expect=word,
            apply=lines(text("fix/cures.sh"), noted, step.cure or step.command, f"echo {word} >{DONE}"),
        )

    def _bring_runner(self, sight: Sight) -> None:
        """The runner of this program, before the first step; a full disk may have no room for another one.

        Raises OperationError where there is none.
        """
        if self._runner_is_there:
            return
        self._runner_is_there = True
        state = next(state for state in sight.states if state.unit.name == RUNNER)
        if state.healthy:
            return
        failure = _install_runner(sight.side, state.unit)
        if failure and state.found.endswith(" absent"):
            raise OperationError(f"{RUNNER}: {failure}; nothing was changed")
        if failure:
            self._steps.say(f"  {RUNNER}: {failure}; going on with the one that is there")


def _install_runner(side: Side, runner: Unit) -> str:
    """Why it could not be installed; empty when it was. Raises OperationError for a host out of reach."""
    from components.observation import Unreachable, failed, network_reason, run
    from components.unit import install_text

    command = install_text(runner, side.settings.owner, side.endpoint.sudo)
    try:
        done = asyncio.run(run(side.endpoint, command, runner.payload or ""))
    except ConnectionRefusedError as error:
        raise OperationError(failed(side.endpoint, network_reason(error))) from None
    except Unreachable as error:
        raise OperationError(str(error)) from None
    return done.words if done.status else ""


def _keep(state: State) -> str:
    """Bash that keeps a copy of a file of ours that was changed by hand; `place` keeps those of others."""
    from components.unit import call

    words = state.unit.expect.split()
    found = state.found.splitlines()
    if words[:1] != ["file"] or state.unit.expect.splitlines()[0] in found:
        return ""
    path = call("", words[1]).strip("' ")
    return f"if [ -f {path} ] && grep -q 'managed by itqan' {path}; then keep_copy {path}; fi"


def _caller() -> str:
    """Who types this, as far as this machine knows."""
    return f"{getpass.getuser()} on {socket.gethostname()}"


def _words(finding: Finding) -> str:
    words = _plain(finding.words)
    return f"{finding.name} {finding.state}: {words if len(words) <= TOLD else f'{words[:TOLD]}…'}"


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey: parts of it come from the host."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
