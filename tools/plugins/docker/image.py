"""Image: built at the daemon, pushed if wanted. Not described by fields: the official plugin has it apart."""

import platform
import re
from pathlib import Path
from typing import Any

from tools.plugins.common.provider import Checked, CheckOptions, Difference, ProviderError, Resource
from tools.plugins.common.values import UNKNOWN, Properties, Secret, has_unknown, reveal
from tools.plugins.docker.build import BUILDKIT, CLASSIC, BuildRequest, build
from tools.plugins.docker.context import DEFAULT_DOCKERFILE, BuildContext
from tools.plugins.docker.daemon import Daemon, DockerError
from tools.plugins.docker.described import Log
from tools.plugins.docker.operations import Cancelled, Operation

_BUILDERS = {None: BUILDKIT, "BuilderBuildKit": BUILDKIT, "BuilderV1": CLASSIC}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_INPUTS = "__inputs"  # where the state keeps the inputs that it was built from


class Image:
    """An image.

    Args:
        daemon: where it is built.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def check(self, resource: Resource, olds: Properties, news: Properties, options: CheckOptions) -> Checked:
        """Fill in defaults, and the digest of the build context."""
        inputs = {"buildOnPreview": False, **_without_nulls(reveal(news))}
        settings = inputs.get("build", {})
        if isinstance(settings, dict):
            inputs["build"] = _checked_build(settings)
        if not inputs.get("skipPush") and isinstance(inputs.get("imageName"), str):
            _check_canonical(inputs["imageName"])
        return Checked(inputs)

    def diff(self, state: Properties, news: Properties, ignore: list[str]) -> Difference:
        """Compare the inputs that the image was built from with new ones."""
        olds = reveal(state.get(_INPUTS) or {})
        ignored = {re.split(r"[.\[]", path)[0] for path in ignore}
        detailed = {}
        for name in (olds.keys() | news.keys()) - ignored:
            if _comparable(name, olds.get(name)) != _comparable(name, news.get(name)):
                detailed[name] = "ADD" if name not in olds else "DELETE" if name not in news else "UPDATE"
        return Difference(changes=bool(detailed), detailed=detailed or None)

    def create(
        self, resource: Resource, inputs: Properties, preview: bool, operation: Operation, log: Log
    ) -> tuple[str, Properties]:
        """Build the image; in a preview only if the program wants that."""
        if preview and (not inputs.get("buildOnPreview") or has_unknown(inputs)):
            return "", inputs
        return inputs["imageName"], self._make(inputs, preview, operation, log)

    def read(
        self, resource: Resource, state: Properties, known_inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Return what is known: like the official plugin, this one does not look at the image."""
        return resource.id, state, known_inputs

    def update(
        self,
        resource: Resource,
        olds: Properties,
        news: Properties,
        preview: bool,
        operation: Operation,
        log: Log,
    ) -> Properties:
        """Build the image anew; the old one stays."""
        if preview and (not news.get("buildOnPreview") or has_unknown(news)):
            return {**news, "repoDigest": UNKNOWN}
        return self._make(news, preview, operation, log)

    def delete(self, resource: Resource, state: Properties, operation: Operation) -> None:
        """Do nothing: the image stays, as with the official plugin."""

    def _make(self, inputs: Properties, preview: bool, operation: Operation, log: Log) -> Properties:
        request = _request(inputs)
        try:
            log("info", "Building the image")
            build(self.daemon, request, operation, log)
            if not inputs.get("skipPush") and not preview:
                self._push(inputs, operation, log)
            with self.daemon.errors():
                found = self.daemon.client.inspect_image(request.name)
        except DockerError as error:
            raise ProviderError(str(error)) from error
        except Cancelled as error:
            raise ProviderError(f"the build of {request.name} was cancelled") from error
        digests = [] if inputs.get("skipPush") else found.get("RepoDigests")
        return {
            _INPUTS: Secret(inputs),
            "baseImageName": request.name,
            "context": request.context.folder,
            "dockerfile": request.context.dockerfile_in_folder,
            "imageName": request.name,
            "registryServer": (inputs.get("registry") or {}).get("server", ""),
            "repoDigest": (digests or [found["Id"]])[0],
        }

    def _push(self, inputs: Properties, operation: Operation, log: Log) -> None:
        log("info", "Pushing Image to the registry")
        registry = inputs.get("registry") or {}
        given = registry.get("username") and registry.get("password")
        auth = {"username": registry["username"], "password": registry["password"]} if given else None
        client = self.daemon.client
        with self.daemon.errors():
            for message in client.push(inputs["imageName"], stream=True, decode=True, auth_config=auth):
                operation.check()
                if "error" in message:
                    raise DockerError(message["error"])
                log("info", " ".join(filter(None, [message.get("id"), message.get("status")])))


def _without_nulls(properties: Properties) -> Properties:
    return {name: value for name, value in properties.items() if value is not None}


def _checked_build(given: Properties) -> Properties:
    """Return build settings with defaults and digest.

    Raises:
        ProviderError: there is no Dockerfile where it should be, or a setting is not known.
    """
    settings = _without_nulls(given)
    # What a preview does not know yet cannot be looked at.
    if has_unknown([settings.get("context"), settings.get("dockerfile")]):
        return settings
    context = settings.get("context", ".")
    dockerfile = settings.get("dockerfile") or str(Path(context, DEFAULT_DOCKERFILE))
    _check_dockerfile(Path(dockerfile), context)
    if settings.get("builderVersion") not in _BUILDERS:
        raise ProviderError("invalid Docker Builder version")
    try:
        digest = BuildContext(context, dockerfile).digest()
    except OSError as error:
        raise ProviderError(f"unable to hash build context: {error}") from error
    machine = platform.machine()
    default_platform = f"linux/{_ARCHITECTURES.get(machine, machine)}"
    return {
        "platform": default_platform,
        **settings,
        "context": context,
        "dockerfile": dockerfile,
        "contextDigest": digest,
    }


def _check_dockerfile(dockerfile: Path, context: str) -> None:
    if dockerfile.exists():
        return
    missing = f"stat {dockerfile}: no such file or directory"
    if dockerfile.is_absolute():
        raise ProviderError(f'expected a relative Dockerfile path; got "{dockerfile}" instead: {missing}')
    in_context = Path(context, dockerfile)
    could_not = f'could not open dockerfile at relative path "{dockerfile}"'
    if in_context.exists():
        raise ProviderError(f'{could_not}. Try setting `dockerfile` to "{in_context}"')
    raise ProviderError(f"{could_not}: {missing}")


def _check_canonical(name: str) -> None:
    """Check that a name says which registry it is of.

    Raises:
        ProviderError: it does not.
    """
    registry, slash, _ = name.partition("/")
    if not slash or not (registry == "localhost" or re.search("[.:]", registry)):
        raise ProviderError(
            f'"{name}": repository name must be canonical.\n'
            "This resource requires all image names to be fully qualified.\n"
            "For example, if you are attempting to push to Dockerhub, prefix your image name with "
            "`docker.io`:\n\n"
            "`docker.io/repository/image:tag`"
        )


def _comparable(name: str, value: Any) -> Any:
    """Leave out credentials: a new password is no reason to build."""
    if name == "registry" and isinstance(value, dict):
        return value.get("server")
    return value


def _request(inputs: Properties) -> BuildRequest:
    name, settings = inputs.get("imageName"), inputs.get("build")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise ProviderError(
            "an Image needs imageName, a text, and build, an object with context, dockerfile and args"
        )
    registry = inputs.get("registry") or {}
    server = registry.get("server", "")
    return BuildRequest(
        name=name,
        context=BuildContext(settings["context"], settings["dockerfile"]),
        version=_BUILDERS[settings.get("builderVersion")],
        parameters={
            "buildargs": settings.get("args"),
            "cachefrom": (settings.get("cacheFrom") or {}).get("images"),
            "extrahosts": settings.get("addHosts"),
            "networkmode": settings.get("network"),
            "platform": settings.get("platform"),
            "target": settings.get("target"),
        },
        credentials={server: {"username": registry["username"], "password": registry["password"]}}
        if registry.get("username") and registry.get("password")
        else {},
    )
