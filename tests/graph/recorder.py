"""The engine's side of a run under Pulumi's mocks: every registration as the engine would get it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks

# How the engine's messages mark a secret value (pulumi/sdk: Special.SIG, SECRET_SIG).
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
COMMAND = "command:remote:Command"
REFERENCE = "pulumi:pulumi:StackReference"


def is_secret(value: Any) -> bool:
    """Whether an input is marked as a secret as a whole."""
    return isinstance(value, dict) and value.get(SIGNATURE) == SECRET


def plain(value: Any) -> Any:
    """An input without its mark."""
    if is_secret(value):
        return plain(value["value"])
    return {key: plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def in_clear(value: Any) -> str:
    """Everything of an input that is not marked as a secret, as one text."""
    if is_secret(value):
        return ""
    entries = list(value.values()) if isinstance(value, dict) else value
    return "\n".join(map(in_clear, entries)) if isinstance(entries, list) else str(value)


@dataclass
class Resource:
    """A registration: `inputs` with secrets marked, `after` the names that it directly depends on."""

    name: str
    type: str
    parent: str
    inputs: dict[str, Any]
    after: set[str]
    deleted_with: str
    ignored: list[str]
    provider: str


@dataclass
class Program:
    """What a run registered and told."""

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)

    @property
    def commands(self) -> dict[str, Resource]:
        """The units' commands by name."""
        return {name: resource for name, resource in self.resources.items() if resource.type == COMMAND}

    def all_after(self, name: str) -> set[str]:
        """Everything that has to be there before a resource."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            resource = self.resources.get(waiting.pop())
            new = resource.after - found if resource else set()
            found |= new
            waiting += new
        return found


class Recorder(mocks.MockMonitor):
    """Keeps each registration in `program`; a stack reference answers with `ledger`."""

    def __init__(self, program: Program, ledger: dict[str, Any]) -> None:
        super().__init__(_Answers(ledger))
        self._program = program

    def RegisterResource(self, request: Any) -> Any:
        """Keep the request, then answer as the mocks do."""
        if request.type != "pulumi:pulumi:Stack":
            self._program.resources[request.name] = Resource(
                request.name,
                request.type,
                _name(request.parent),
                MessageToDict(request.object),
                {_name(urn) for urn in request.dependencies},
                _name(request.deletedWith),
                list(request.ignoreChanges),
                request.provider,
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


class _Answers(mocks.Mocks):
    def __init__(self, ledger: dict[str, Any]) -> None:
        self._ledger = ledger

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"the program calls {args.token}")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == REFERENCE:
            outputs = {"ledger": self._ledger}
            return args.name, {"name": args.name, "outputs": outputs, "secretOutputNames": ["ledger"]}
        answer = {"stdout": f"{args.name} unchanged\nanswer of {args.name}"} if args.typ == COMMAND else {}
        return f"{args.name}-id", {**args.inputs, **answer}


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
