"""Check, diff, create, update and delete of remote.Command and local.Command."""

import secrets
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tools.plugins.command import local
from tools.plugins.command.execution import Commands, Job, quoted
from tools.plugins.command.output import Output
from tools.plugins.command.schema import LOCAL_COMMAND, REMOTE_COMMAND, Object
from tools.plugins.common.diff import differences
from tools.plugins.common.engine import Engine
from tools.plugins.common.provider import (
    Capabilities,
    Checked,
    CheckOptions,
    Difference,
    Provider,
    ProviderError,
    Resource,
)
from tools.plugins.common.values import UNKNOWN, Properties, reveal

if TYPE_CHECKING:
    from tools.plugins.command.ssh import Connections

_INPUTS = {"command:remote:Command": REMOTE_COMMAND, "command:local:Command": LOCAL_COMMAND}
_OUTPUTS = ("stdout", "stderr")
_SHELL = ["/bin/sh", "-c"]


class CommandProvider(Provider):
    """The package `command`."""

    package = "command"
    version = "1.2.1"
    capabilities = Capabilities(
        accept_secrets=True, accept_resources=True, accept_outputs=True, accepts_byte_string=True
    )
    handshake_capabilities = capabilities

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._commands = Commands()
        self._connections: Connections | None = None  # made with the first remote command

    @override
    def check_config(self, provider: Resource, olds: Properties, news: Properties) -> Checked:
        return Checked(news)

    @override
    def check(self, resource: Resource, olds: Properties, news: Properties, options: CheckOptions) -> Checked:
        return Checked(*_inputs_of(resource).check(news))

    @override
    def diff(
        self,
        resource: Resource,
        olds: Properties,
        old_inputs: Properties,
        news: Properties,
        ignore: list[str],
    ) -> Difference:
        _inputs_of(resource)
        found = {
            path: kind
            for path, kind in differences(old_inputs, news).items()
            if not any(
                path == ignored or path.startswith((f"{ignored}.", f"{ignored}[")) for ignored in ignore
            )
        }
        replaces = [path for path in found if path == "triggers"]
        return Difference(
            changes=bool(found),
            diffs=sorted({_top_level(path) for path in found}),
            replaces=replaces,
            detailed={path: f"{kind}_REPLACE" if path in replaces else kind for path, kind in found.items()},
        )

    @override
    def create(
        self, resource: Resource, inputs: Properties, preview: bool, timeout: float
    ) -> tuple[str, Properties]:
        _inputs_of(resource)
        resource_id = resource.name + secrets.token_hex(4)
        if preview:
            return resource_id, {**inputs, **dict.fromkeys(_OUTPUTS, UNKNOWN)}
        return resource_id, self._run(resource, inputs, inputs.get("create"), dict.fromkeys(_OUTPUTS, ""))

    @override
    def read(
        self, resource: Resource, properties: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Return what is known: a command has nothing to look at."""
        _inputs_of(resource)
        return resource.id, properties, inputs

    @override
    def update(
        self,
        resource: Resource,
        olds: Properties,
        old_inputs: Properties,
        news: Properties,
        preview: bool,
        timeout: float,
    ) -> Properties:
        _inputs_of(resource)
        if preview:
            return {**news, **dict.fromkeys(_OUTPUTS, UNKNOWN)}
        previous = {name: reveal(olds.get(name)) or "" for name in _OUTPUTS}
        return self._run(resource, news, news.get("update", news.get("create")), previous)

    @override
    def delete(
        self, resource: Resource, properties: Properties, old_inputs: Properties, timeout: float
    ) -> None:
        _inputs_of(resource)
        previous = {name: reveal(properties.get(name)) or "" for name in _OUTPUTS}
        self._run(resource, properties, properties.get("delete"), previous)

    @override
    def invoke(self, token: str, args: Properties) -> Properties:
        raise ProviderError(f"Invoke '{_short(token)}' not found", "NOT_FOUND")

    @override
    def cancel(self) -> None:
        self._commands.cancel()

    def _run(
        self, resource: Resource, inputs: Properties, command: Any, previous: dict[str, str]
    ) -> Properties:
        """Run a command of the resource; without one the previous output stays.

        Returns:
            The state: inputs and what the command printed.
        """
        if command is None:
            return {**inputs, **previous}
        plain = reveal(inputs)
        if plain.get("archivePaths"):
            raise ProviderError(
                "archivePaths: this plugin makes no archives, the official one does; type: assetPaths"
            )
        add_previous = plain.get("addPreviousOutputInEnv", True)
        job = Job(
            reveal(command),
            plain.get("environment") or {},
            {
                f"PULUMI_COMMAND_{name.upper()}": text
                for name, text in previous.items()
                if text and add_previous
            },
            plain.get("stdin"),
        )
        return {**inputs, **self._commands.run(self._outputs(resource, plain, job))}

    async def _outputs(self, resource: Resource, plain: Properties, job: Job) -> Properties:
        output = Output(plain.get("logging"), lambda line: self._status(resource, line))
        try:
            if resource.type == "command:remote:Command":
                failure = await self._run_remote(resource, plain["connection"], job, output)
            else:
                failure = await local.run(job, plain.get("interpreter") or _SHELL, plain.get("dir"), output)
        finally:
            await output.finish()
        if failure:
            raise ProviderError(f"{failure}: running {quoted(job.command)}:\n{output.both}")
        return {"stdout": output.stdout, "stderr": output.stderr, **_assets(plain)}

    async def _run_remote(
        self, resource: Resource, connection: Properties, job: Job, output: Output
    ) -> str | None:
        from tools.plugins.command import ssh  # 0.2 s, and a run with nothing to do needs no connection

        if self._connections is None:
            self._connections = ssh.Connections()
        log = ssh.Log(
            status=lambda text: self._status(resource, text),
            message=lambda severity, text: self.engine.log(severity, text, resource.urn),
        )
        return await self._connections.run(ssh.endpoint(connection), job, output, log)

    def _status(self, resource: Resource, text: str) -> None:
        self.engine.log("info", text, resource.urn, ephemeral=True)


def _inputs_of(resource: Resource) -> Object:
    if resource.type not in _INPUTS:
        raise ProviderError(f"Resource '{_short(resource.type)}' not found", "NOT_FOUND")
    return _INPUTS[resource.type]


def _short(token: str) -> str:
    """Return a type or function token without the package's name."""
    return token.split(":", 1)[-1]


def _top_level(path: str) -> str:
    return path.split(".", 1)[0].split("[", 1)[0]


def _assets(plain: Properties) -> Properties:
    if not plain.get("assetPaths"):
        return {}
    from tools.plugins.command.assets import collect

    return {"assets": collect(plain["assetPaths"], plain.get("dir"))}
