"""The one place that makes connections and remote commands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pulumi
from pulumi_command import remote

from settings import Settings, SettingsError

from . import host, ledger, surroundings
from .keys import UnreadableKey
from .observation import Endpoint, State, Unreachable, observe
from .platform import Platform, load_platform
from .preflight import look, obstacles
from .repository import wanted_commit
from .server import server_units
from .unit import Unit, create_text, install_text, remove_text

if TYPE_CHECKING:
    import pulumi_docker as docker

DIAL_ERRORS = 20  # refused connections until a command gives up: a container's sshd needs a second
TOLD = 5  # unknown lines of one surrounding; audit has them all


class Target:
    """The host that units are brought to: its connection, its observation, its runner."""

    RUNNER = "host/runner"

    def __init__(
        self,
        settings: Settings,
        platform: Platform,
        units: list[Unit],
        commit: str,
        container: docker.Container | None = None,
    ) -> None:
        """Arguments: `platform`, the host's; `units`, all of the stack's; `commit`, what is to run;
        `container`, a copy's server."""
        self.settings = settings
        self._surroundings = surroundings.judged(settings, units)
        self._platform = platform
        self.units = units
        self.commit = commit
        self.endpoint = Endpoint.of(settings)
        self.container_name = container.name if container else None
        self._container = container
        self._ready: pulumi.Output[str] = (
            container.id if container else pulumi.Output.from_input(self.endpoint.host)
        )
        self.entries = pulumi.Output.unsecret(
            pulumi.Output.all(self._previous(), self._states()).apply(self._next)
        )
        self._connection = self._ready.apply(lambda _: self._arguments())
        self._commands: dict[str, remote.Command] = {}
        self._runner = self._command(None, host.runner(settings), ())

    def add(self, part: pulumi.Resource, units: list[Unit], depends_on: Sequence[pulumi.Resource]) -> None:
        """The units as resources below `part`, one after the other."""
        before: list[pulumi.Resource] = [self._runner, *depends_on]
        for unit in units:
            if unit.name != self.RUNNER:
                before = [self._command(part, unit, before)]

    def stdout(self, name: str) -> pulumi.Output[str]:
        """What the unit `name` printed after its first line."""
        return self._commands[name].stdout.apply(lambda out: out.partition("\n")[2])

    def _arguments(self) -> remote.ConnectionArgs:
        return remote.ConnectionArgs(
            host=self.endpoint.host,
            port=float(self.endpoint.port),
            user=self.endpoint.user,
            private_key=pulumi.Output.secret(self.endpoint.private_key),
            host_key=self.endpoint.host_key,
            dial_error_limit=DIAL_ERRORS,
        )

    def _command(
        self, part: pulumi.Resource | None, unit: Unit, before: Sequence[pulumi.Resource]
    ) -> remote.Command:
        create = self._create_text(unit)
        stdin = (
            unit.payload if unit.payload is None or not unit.secret else pulumi.Output.secret(unit.payload)
        )
        self._commands[unit.name] = remote.Command(
            unit.slug,
            connection=self._connection,
            create=create,
            update=self.entries.apply(lambda entries: create + entries[unit.name].comment),
            delete=remove_text(unit, self.settings.owner, self.endpoint.sudo),
            stdin=stdin,
            add_previous_output_in_env=False,
            logging=remote.Logging.STDERR,
            opts=pulumi.ResourceOptions(
                parent=part,
                depends_on=list(before),
                deleted_with=self._container,
                protect=unit.name == self.RUNNER and self._is_kept,
            ),
        )
        return self._commands[unit.name]

    @property
    def _is_kept(self) -> bool:
        """Whether `pulumi destroy` is refused: one protected resource is enough for it to touch nothing."""
        return self.settings.target == "host" and not self.settings.allow_destroy

    def _create_text(self, unit: Unit) -> str:
        if unit.name == self.RUNNER:
            return install_text(unit, self.settings.owner, self.endpoint.sudo)
        return create_text(unit, self.settings.owner, self.endpoint.sudo)

    def _previous(self) -> pulumi.Output[object]:
        """The stack's own output `ledger`, as the last run left it."""
        name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        return pulumi.StackReference(name).get_output("ledger")

    def _states(self) -> pulumi.Output[list[State] | None]:
        """Every unit as it is on the host; None when the settings say not to look."""
        if not self.settings.observe:
            pulumi.log.info("observation is off (itqan:observe): drift of the host is not shown")
            return pulumi.Output.from_input(None)
        return self._ready.apply(self._look)

    async def _look(self, _: str) -> list[State]:
        started = time.monotonic()
        try:
            further = look(self.settings, self._platform, time.time())
            looked = [*self.units, *(other.unit for other in self._surroundings), further]
            states = await observe(self.endpoint, looked, patience=30 if self._container else 0)
        except Unreachable as error:
            raise pulumi.RunError(
                f"{error}\nTo preview without the host: pulumi config set itqan:observe false"
            ) from None
        if found := obstacles(self.settings, states):
            raise pulumi.RunError(
                "\n".join([f"host {self.endpoint.host} is left alone, nothing was changed:", *found])
            )
        self._tell(states[: len(self.units)], time.monotonic() - started)
        self._warn(states)
        return states

    def _tell(self, states: list[State], seconds: float) -> None:
        differ = sum(not state.healthy for state in states)
        pulumi.log.info(
            f"observed {len(states)} units in {seconds:.2f} s: {differ or 'none'} not as expected"
        )

    def _warn(self, states: list[State]) -> None:
        """What nothing accounts for is no planned update: a person has to say whether it is right."""
        unknown = surroundings.unknown(self._surroundings, states, self.settings)
        for item in unknown:
            pulumi.log.warn(
                f"not of this stack: {item.name}: {'; '.join(item.lines[:TOLD])}{item.more(TOLD)}"
            )
        if unknown:
            pulumi.log.warn(f"how to settle that: ./itqan audit {self.settings.stack}")

    def _next(self, arguments: list[object]) -> dict[str, ledger.Entry]:
        previous, states = arguments
        return ledger.next_entries(self.units, ledger.read(previous), states)  # type: ignore[arg-type]


def target_host(settings: Settings) -> Target:
    """The host of this stack: a server that is there, or the copy's container, made here.

    Raises pulumi.RunError when the release that the settings name cannot be found, or a key cannot be read.
    """
    try:
        return _target(settings, wanted_commit(settings))
    except (SettingsError, UnreadableKey) as error:
        raise pulumi.RunError(str(error)) from None


def _target(settings: Settings, commit: str) -> Target:
    platform = load_platform(settings.platform)
    units = server_units(settings, platform, commit)
    if settings.target == "host":
        return Target(settings, platform, units, commit)
    from .staging import Staging  # pulumi_docker is slow to import, and a production stack does not need it

    return Target(settings, platform, units, commit, Staging(settings, units).server)
