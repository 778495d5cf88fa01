"""The one place that makes connections and remote commands."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import pulumi
from pulumi_command import remote

from settings import Settings, SettingsError

from . import host, ledger, record, surroundings
from .keys import UnreadableKey
from .observation import State, Unreachable, observe
from .preflight import look, obstacles
from .side import Side
from .unit import Unit, create_text, install_text, remove_text

if TYPE_CHECKING:
    from .staging import Staging

DIAL_ERRORS = 20  # refused connections until a command gives up: a container's sshd needs a second
TOLD = 5  # lines of one kind; audit has them all


class Target:
    """The host that units are brought to: its connection, its observation, its runner."""

    RUNNER = "host/runner"

    def __init__(self, side: Side, reference: pulumi.StackReference, staging: Staging | None = None) -> None:
        """Arguments: `side`, the stack; `reference`, its own outputs; `staging`, a copy's containers."""
        container = staging.server if staging else None
        self.side = side
        self.container_name = container.name if container else None
        self._container = container
        self._ready: pulumi.Output[object] = (
            staging.ready if staging else pulumi.Output.from_input(side.endpoint.host)
        )
        self.entries = pulumi.Output.unsecret(
            pulumi.Output.all(reference.get_output("ledger"), self._states()).apply(self._next)
        )
        self._connection = self._ready.apply(lambda _: self._arguments())
        self._commands: dict[str, remote.Command] = {}
        self._runner = self._command(None, host.runner(side.settings), ())

    def add(self, part: pulumi.Resource, units: list[Unit], depends_on: Sequence[pulumi.Resource]) -> None:
        """The units as resources below `part`, one after the other."""
        before: list[pulumi.Resource] = [self._runner, *depends_on]
        for unit in units:
            if unit.name != self.RUNNER:
                before = [self._command(part, unit, before)]

    def command(self, name: str) -> pulumi.Resource:
        """The unit `name` as a resource."""
        return self._commands[name]

    def stdout(self, name: str) -> pulumi.Output[str]:
        """What the unit `name` printed after its first line."""
        return self._commands[name].stdout.apply(lambda out: out.partition("\n")[2])

    def _arguments(self) -> remote.ConnectionArgs:
        return remote.ConnectionArgs(
            host=self.side.endpoint.host,
            port=float(self.side.endpoint.port),
            user=self.side.endpoint.user,
            private_key=pulumi.Output.secret(self.side.endpoint.private_key),
            host_key=self.side.endpoint.host_key,
            dial_error_limit=DIAL_ERRORS,
            proxy=self._proxy(),
        )

    def _proxy(self) -> remote.ProxyConnectionArgs | None:
        """The Docker host of a copy, through which its container is reached; None: it is this machine."""
        through = self.side.endpoint.proxy
        if through is None:
            return None
        return remote.ProxyConnectionArgs(
            host=through.host,
            port=float(through.port),
            user=through.user,
            private_key=pulumi.Output.secret(through.private_key),
            host_key=through.host_key,
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
            delete=remove_text(unit, self.side.settings.owner, self.side.endpoint.sudo),
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
        return self.side.settings.target == "host" and not self.side.settings.allow_destroy

    def _create_text(self, unit: Unit) -> str:
        if unit.name == self.RUNNER:
            return install_text(unit, self.side.settings.owner, self.side.endpoint.sudo)
        return create_text(unit, self.side.settings.owner, self.side.endpoint.sudo)

    def _states(self) -> pulumi.Output[list[State] | None]:
        """Every unit as it is on the host; None when the settings say not to look."""
        observe = self.side.settings.observe
        if not observe:
            pulumi.log.info("observation is off (itqan:observe): drift of the host is not shown")
            return pulumi.Output.from_input(None)
        # what changes the host logs in there anyway, and has to know what the record cannot tell
        as_observer = observe == "observer" and pulumi.runtime.is_dry_run()
        return self._ready.apply(self._look_as_observer if as_observer else self._look)

    async def _look(self, _: object) -> list[State]:
        side = self.side
        further = look(side.settings, side.platform, time.time())
        return await self._seen(observe(side.endpoint, [*side.looked, further], patience=self._patience))

    async def _look_as_observer(self, _: object) -> list[State]:
        return await self._seen(self._recorded())

    async def _recorded(self) -> list[State]:
        told = await record.ask(record.observer_endpoint(self.side.settings), patience=self._patience)
        if unlike := told.unlike(self.side.looked):
            more = f" and {len(unlike) - TOLD} more" if len(unlike) > TOLD else ""
            pulumi.log.warn(
                f"not observed, as the probe is another one in this program than at the last `up`: "
                f"{', '.join(unlike[:TOLD])}{more}"
            )
        return told.states(self.side.looked)

    @property
    def _patience(self) -> float:
        return 30 if self._container else 0

    async def _seen(self, looking: Awaitable[list[State]]) -> list[State]:
        """What was found, told; raises pulumi.RunError when the host has to be left alone."""
        started = time.monotonic()
        settings = self.side.settings
        try:
            states = await looking
        except Unreachable as error:
            raise pulumi.RunError(
                f"{error}\nTo preview without the host: pulumi config set itqan:observe false"
            ) from None
        if found := obstacles(settings, states):
            raise pulumi.RunError(
                "\n".join([f"host {self.side.endpoint.host} is left alone, nothing was changed:", *found])
            )
        self._tell(states, time.monotonic() - started)
        self._warn(states)
        return states

    def _tell(self, states: list[State], seconds: float) -> None:
        ours = {unit.name for unit in self.side.units}
        units = [state for state in states if state.unit.name in ours]
        differ = sum(not state.healthy for state in units)
        pulumi.log.info(f"observed {len(units)} units in {seconds:.2f} s: {differ or 'none'} not as expected")

    def _warn(self, states: list[State]) -> None:
        """What nothing accounts for is no planned update: a person has to say whether it is right."""
        unknown = surroundings.unknown(self.side.judged, states, self.side.settings.accepted)
        for item in unknown:
            pulumi.log.warn(
                f"not of this stack: {item.name}: {'; '.join(item.lines[:TOLD])}{item.more(TOLD)}"
            )
        if unknown:
            pulumi.log.warn(f"how to settle that: ./itqan audit {self.side.settings.stack}")

    def _next(self, arguments: list[object]) -> dict[str, ledger.Entry]:
        previous, states = arguments
        return ledger.next_entries(self.side.units, ledger.read(previous), states)  # type: ignore[arg-type]


def target_host(settings: Settings) -> Target:
    """The host of this stack: a server that is there, or the copy's container, made here.

    Raises pulumi.RunError when the release that the settings name cannot be found, or a key cannot be read.
    """
    try:
        side = Side.of(settings)
    except (SettingsError, UnreadableKey) as error:
        raise pulumi.RunError(str(error)) from None
    if settings.target == "host":
        return Target(side, _own_outputs())
    from .staging import Staging  # pulumi_docker is slow to import, and a production stack does not need it

    # a provider of its own begins the new state, which the engine can miss while it writes it
    reference = _own_outputs() if settings.docker_host else None
    staging = Staging(settings, side.units, [reference] if reference else [])
    return Target(side, reference or _own_outputs(), staging)


def _own_outputs() -> pulumi.StackReference:
    """The stack's own outputs, as the last run left them."""
    return pulumi.StackReference(f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}")
