"""A resource provider on plain data: the base class to derive from, and its gRPC face."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2, message
from typing_extensions import override

from tools.plugins.common.engine import Engine
from tools.plugins.common.protobuf import bare_packages
from tools.plugins.common.values import ByteStringError, Properties, decode, encode

with bare_packages():
    from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc


class ProviderError(Exception):
    """A call failed: shown to the user as it is, without a traceback.

    Args:
        text: the whole message.
        code: name of the gRPC status code.
    """

    def __init__(self, text: str, code: str = "UNKNOWN") -> None:
        super().__init__(text)
        self.code = code


class InitFailed(ProviderError):
    """Create or update made the resource, but it did not become ready: the engine keeps its state.

    Args:
        reasons: one line each.
        resource_id: of the resource that exists now.
        properties: its state.
        inputs: to be kept for the next run.
    """

    def __init__(
        self, text: str, reasons: list[str], resource_id: str, properties: Properties, inputs: Properties
    ) -> None:
        super().__init__(text)
        self.reasons = reasons
        self.resource_id = resource_id
        self.properties = properties
        self.inputs = inputs


@dataclass(frozen=True)
class Capabilities:
    """What the answer to Handshake and Configure promises; the names are those of the messages."""

    accept_secrets: bool = False
    accept_resources: bool = False
    accept_outputs: bool = False
    supports_preview: bool = True
    supports_autonaming: bool = False
    accepts_byte_string: bool = False


@dataclass(frozen=True)
class Resource:
    """The resource a call is about. For CheckConfig and DiffConfig it is the provider itself."""

    urn: str
    name: str
    type: str
    id: str = ""


@dataclass(frozen=True)
class CheckOptions:
    """What Check may choose a name from.

    `autonaming` is None or (proposed name, "PROPOSE" | "ENFORCE" | "DISABLE").
    """

    random_seed: bytes = b""
    autonaming: tuple[str, str] | None = None


@dataclass(frozen=True)
class Checked:
    """The answer of Check: inputs with defaults, or failures as (property, reason)."""

    inputs: Properties = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """The answer of Diff.

    `changes` is True, False, or None when it is not known. `detailed` maps a property path to the name
    of a PropertyDiff.Kind (ADD, UPDATE, DELETE_REPLACE, …); None leaves it out. `input_diff` says that the
    paths are those of inputs. `has_detailed` tells the engine to go by `detailed` alone.
    """

    changes: bool | None = False
    diffs: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    stables: list[str] = field(default_factory=list)
    detailed: dict[str, str] | None = None
    has_detailed: bool = True
    input_diff: bool = False
    delete_before_replace: bool = False


class Provider:
    """Base class of a plugin. Override what the plugin does; the rest answers as not implemented.

    All methods work on plain data (see values.py), may raise ProviderError, and are called from many
    threads at once. `self.engine.log` writes to the engine.
    """

    package = ""
    version = ""
    handshake_capabilities: Capabilities | None = None  # None: Handshake is not implemented
    capabilities = Capabilities()

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def check_config(self, provider: Resource, olds: Properties, news: Properties) -> Checked:
        """Validate the provider's own configuration."""
        raise NotImplementedError

    def diff_config(
        self, provider: Resource, olds: Properties, old_inputs: Properties, news: Properties
    ) -> Difference:
        """Compare two configurations of the provider."""
        raise NotImplementedError

    def configure(self, variables: dict[str, str], args: Properties) -> None:
        """Take the configuration: `variables` by full key (`docker:config:host`) as text, or `args`."""

    def check(self, resource: Resource, olds: Properties, news: Properties, options: CheckOptions) -> Checked:
        """Validate a program's inputs and fill in defaults. `olds` are the previous inputs."""
        raise NotImplementedError

    def diff(
        self,
        resource: Resource,
        olds: Properties,
        old_inputs: Properties,
        news: Properties,
        ignore: list[str],
    ) -> Difference:
        """Compare the state and old inputs with new inputs; `ignore` lists property paths."""
        raise NotImplementedError

    def create(
        self, resource: Resource, inputs: Properties, preview: bool, timeout: float
    ) -> tuple[str, Properties]:
        """Make the resource (timeout in seconds, 0: none given); return its id and state."""
        raise NotImplementedError

    def read(
        self, resource: Resource, properties: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Look at the resource; return id, state and inputs. An empty id says that it is gone."""
        raise NotImplementedError

    def update(
        self,
        resource: Resource,
        olds: Properties,
        old_inputs: Properties,
        news: Properties,
        preview: bool,
        timeout: float,
    ) -> Properties:
        """Change the resource in place (timeout in seconds, 0: none given); return the new state."""
        raise NotImplementedError

    def delete(
        self, resource: Resource, properties: Properties, old_inputs: Properties, timeout: float
    ) -> None:
        """Remove the resource (timeout in seconds, 0: none given)."""
        raise NotImplementedError

    def invoke(self, token: str, args: Properties) -> Properties:
        """Run a function of the package."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop whatever runs. Called from another thread; also on the way out."""


def _answered(method: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a gRPC method: exceptions become the status that the engine shows."""

    def call(self: "ProviderServicer", request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except NotImplementedError:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method.__name__} is not implemented")
        except InitFailed as error:
            self._abort_init_failed(error, context)
        except ProviderError as error:
            context.abort(grpc.StatusCode[error.code], str(error))
        except ByteStringError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001  (whatever it is, the engine must get an answer)
            # A fault of this plugin: the engine shows stderr, which is where the trace belongs.
            traceback.print_exc(file=sys.stderr)
            context.abort(grpc.StatusCode.INTERNAL, f"{method.__name__}: {type(error).__name__}: {error}")

    return call


class ProviderServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves a Provider as pulumirpc.ResourceProvider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.byte_strings = False

    def _struct(self, properties: Properties) -> Any:
        return encode(properties, self.byte_strings)

    def _abort_init_failed(self, error: InitFailed, context: grpc.ServicerContext) -> None:
        detail = provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id,
            properties=self._struct(error.properties),
            inputs=self._struct(error.inputs),
            reasons=error.reasons,
        )
        context.set_trailing_metadata(
            (("grpc-status-details-bin", _status_with(grpc.StatusCode.UNKNOWN, str(error), detail)),)
        )
        context.abort(grpc.StatusCode.UNKNOWN, str(error))

    @override
    @_answered
    def Handshake(self, request: Any, context: Any) -> Any:
        can = self.provider.handshake_capabilities
        if can is None:
            raise ProviderError("method Handshake not implemented", "UNIMPLEMENTED")
        self.provider.engine.connect(request.engine_address)
        self.byte_strings = request.accepts_byte_string and can.accepts_byte_string
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=can.accept_secrets,
            accept_resources=can.accept_resources,
            accept_outputs=can.accept_outputs,
            accepts_byte_string=can.accepts_byte_string,
            supports_autonaming_configuration=can.supports_autonaming,
        )

    @override
    @_answered
    def Attach(self, request: Any, context: Any) -> Any:
        self.provider.engine.connect(request.address)
        return empty_pb2.Empty()

    @override
    @_answered
    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    @override
    @_answered
    def CheckConfig(self, request: Any, context: Any) -> Any:
        return self._check_response(
            self.provider.check_config(_resource(request), decode(request.olds), decode(request.news))
        )

    @override
    @_answered
    def DiffConfig(self, request: Any, context: Any) -> Any:
        return _diff_response(
            self.provider.diff_config(
                _resource(request), decode(request.olds), decode(request.old_inputs), decode(request.news)
            )
        )

    @override
    @_answered
    def Configure(self, request: Any, context: Any) -> Any:
        self.provider.configure(dict(request.variables), decode(request.args))
        can = self.provider.capabilities
        return provider_pb2.ConfigureResponse(
            acceptSecrets=can.accept_secrets,
            acceptResources=can.accept_resources,
            acceptOutputs=can.accept_outputs,
            supportsPreview=can.supports_preview,
            supports_autonaming_configuration=can.supports_autonaming,
        )

    @override
    @_answered
    def Check(self, request: Any, context: Any) -> Any:
        autonaming = None
        if request.HasField("autonaming"):
            mode = provider_pb2.CheckRequest.AutonamingOptions.Mode.Name(request.autonaming.mode)
            autonaming = (request.autonaming.proposed_name, mode)
        return self._check_response(
            self.provider.check(
                _resource(request),
                decode(request.olds),
                decode(request.news),
                CheckOptions(request.randomSeed, autonaming),
            )
        )

    def _check_response(self, checked: Checked) -> Any:
        return provider_pb2.CheckResponse(
            inputs=self._struct(checked.inputs),
            failures=[
                provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in checked.failures
            ],
        )

    @override
    @_answered
    def Diff(self, request: Any, context: Any) -> Any:
        return _diff_response(
            self.provider.diff(
                _resource(request),
                decode(request.olds),
                decode(request.old_inputs),
                decode(request.news),
                list(request.ignoreChanges),
            )
        )

    @override
    @_answered
    def Create(self, request: Any, context: Any) -> Any:
        resource_id, properties = self.provider.create(
            _resource(request), decode(request.properties), request.preview, request.timeout
        )
        return provider_pb2.CreateResponse(id=resource_id, properties=self._struct(properties))

    @override
    @_answered
    def Read(self, request: Any, context: Any) -> Any:
        resource_id, properties, inputs = self.provider.read(
            _resource(request), decode(request.properties), decode(request.inputs)
        )
        return provider_pb2.ReadResponse(
            id=resource_id, properties=self._struct(properties), inputs=self._struct(inputs)
        )

    @override
    @_answered
    def Update(self, request: Any, context: Any) -> Any:
        properties = self.provider.update(
            _resource(request),
            decode(request.olds),
            decode(request.old_inputs),
            decode(request.news),
            request.preview,
            request.timeout,
        )
        return provider_pb2.UpdateResponse(properties=self._struct(properties))

    @override
    @_answered
    def Delete(self, request: Any, context: Any) -> Any:
        self.provider.delete(
            _resource(request), decode(request.properties), decode(request.old_inputs), request.timeout
        )
        return empty_pb2.Empty()

    @override
    @_answered
    def Invoke(self, request: Any, context: Any) -> Any:
        answer = provider_pb2.InvokeResponse()
        result = self.provider.invoke(request.tok, decode(request.args))
        getattr(answer, "return").CopyFrom(self._struct(result))  # a keyword in Python
        return answer

    @override
    @_answered
    def Cancel(self, request: Any, context: Any) -> Any:
        self.provider.cancel()
        return empty_pb2.Empty()


def _resource(request: Any) -> Resource:
    return Resource(request.urn, request.name, request.type, getattr(request, "id", ""))


def _diff_response(difference: Difference) -> Any:
    kinds = {None: "DIFF_UNKNOWN", False: "DIFF_NONE", True: "DIFF_SOME"}
    answer = provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DiffChanges.Value(kinds[difference.changes]),
        diffs=difference.diffs,
        replaces=difference.replaces,
        stables=difference.stables,
        deleteBeforeReplace=difference.delete_before_replace,
        hasDetailedDiff=difference.has_detailed and difference.detailed is not None,
    )
    for path, kind in (difference.detailed or {}).items():
        answer.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.Value(kind)
        answer.detailedDiff[path].inputDiff = difference.input_diff
    return answer


def _status_with(code: grpc.StatusCode, text: str, detail: message.Message) -> bytes:
    """Return a google.rpc.Status that carries a detail, as gRPC sends it in its trailing metadata."""
    with bare_packages():
        from pulumi.runtime.proto import status_pb2
    packed = any_pb2.Any()
    packed.Pack(detail)
    status: bytes = status_pb2.Status(code=code.value[0], message=text, details=[packed]).SerializeToString()
    return status


def add_to(server: grpc.Server, provider: Provider) -> None:
    """Serve a provider on a gRPC server."""
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProviderServicer(provider), server)
