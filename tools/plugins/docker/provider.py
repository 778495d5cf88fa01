"""The plugin's configuration, and each call to the resource it is about."""

import json
import os

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
from tools.plugins.common.values import Properties
from tools.plugins.docker.container import Container
from tools.plugins.docker.daemon import DEFAULT_HOST, Address, Daemon, Unreachable
from tools.plugins.docker.described import Described, Log
from tools.plugins.docker.image import Image
from tools.plugins.docker.network import Network
from tools.plugins.docker.operations import Operations
from tools.plugins.docker.volume import Volume

_DESCRIBED: dict[str, type[Described]] = {
    "docker:index/container:Container": Container,
    "docker:index/network:Network": Network,
    "docker:index/volume:Volume": Volume,
}
_IMAGE = "docker:index/image:Image"
_UNSUPPORTED = ("caMaterial", "certMaterial", "context", "keyMaterial", "registryAuth")
_SETTINGS = {
    "certPath",
    "disableDockerDaemonCheck",
    "host",
    "pluginDownloadURL",
    "sshOpts",
    "version",
    *_UNSUPPORTED,
}


class DockerProvider(Provider):
    """Network, Volume, Image and Container on the configured daemon."""

    package = "docker"
    version = "5.2.0"
    capabilities = Capabilities(supports_preview=True, supports_autonaming=True)

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._operations = Operations()
        self._daemon = Daemon(Address(DEFAULT_HOST))

    def check_config(self, provider: Resource, olds: Properties, news: Properties) -> Checked:
        """Refuse settings that do not exist."""
        return Checked(
            news,
            [
                (
                    "",
                    f"`docker:{name}` is not a valid configuration key for the docker provider. If the "
                    "referenced key is not intended for the provider, please choose a different namespace "
                    "from `docker:`.",
                )
                for name in news
                if name not in _SETTINGS
            ],
        )

    def diff_config(
        self, provider: Resource, olds: Properties, old_inputs: Properties, news: Properties
    ) -> Difference:
        """Tell which settings differ; no difference needs new resources."""
        changed = sorted(name for name in olds.keys() | news.keys() if olds.get(name) != news.get(name))
        return Difference(
            changes=True if changed else None,
            diffs=changed,
            detailed=dict.fromkeys(changed, "UPDATE"),
            has_detailed=False,
        )

    def configure(self, variables: dict[str, str], args: Properties) -> None:
        """Find the daemon, and see that it answers."""
        settings = {name.removeprefix("docker:config:"): value for name, value in variables.items()}
        unsupported = [name for name in _UNSUPPORTED if settings.get(name)]
        if unsupported:
            raise ProviderError(
                f"docker:{unsupported[0]}: only the official docker plugin has this; "
                "use docker:host, docker:certPath or the environment variable DOCKER_HOST"
            )
        certificates = settings.get("certPath") or os.environ.get("DOCKER_CERT_PATH", "")
        host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        ssh_options = tuple(json.loads(settings.get("sshOpts") or "[]"))
        try:
            if settings.get("disableDockerDaemonCheck") != "true":
                Daemon(Address(settings.get("host") or host, certificates, ssh_options)).ping()
        except Unreachable:
            raise ProviderError(
                "docker native provider returned an unexpected error from Configure: "
                "failed to connect to any docker daemon"
            ) from None
        self._daemon = Daemon(Address(args.get("host") or host, certificates, ssh_options))

    def check(self, resource: Resource, olds: Properties, news: Properties, options: CheckOptions) -> Checked:
        """Validate inputs and fill in defaults."""
        return self._resource(resource, "Check", resource.type).check(resource, olds, news, options)

    def diff(
        self,
        resource: Resource,
        olds: Properties,
        old_inputs: Properties,
        news: Properties,
        ignore: list[str],
    ) -> Difference:
        """Compare the state with new inputs."""
        return self._resource(resource, "Diff", resource.urn).diff(olds, news, ignore)

    def create(
        self, resource: Resource, inputs: Properties, preview: bool, timeout: float
    ) -> tuple[str, Properties]:
        """Make the resource."""
        kind = self._resource(resource, "Create", resource.type)
        with self._operations.begin() as operation:
            return kind.create(resource, inputs, preview, operation, self._log(resource))

    def read(
        self, resource: Resource, properties: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Look at the resource."""
        return self._resource(resource, "Read", resource.type).read(resource, properties, inputs)

    def update(
        self,
        resource: Resource,
        olds: Properties,
        old_inputs: Properties,
        news: Properties,
        preview: bool,
        timeout: float,
    ) -> Properties:
        """Change the resource in place."""
        kind = self._resource(resource, "Update", resource.type)
        with self._operations.begin() as operation:
            return kind.update(resource, olds, news, preview, operation, self._log(resource))

    def delete(
        self, resource: Resource, properties: Properties, old_inputs: Properties, timeout: float
    ) -> None:
        """Remove the resource."""
        kind = self._resource(resource, "Delete", resource.type)
        with self._operations.begin() as operation:
            kind.delete(resource, properties, operation)

    def invoke(self, token: str, args: Properties) -> Properties:
        """Refuse: none of the package's functions is here."""
        raise ProviderError(f"unrecognized data function (Invoke): {token}")

    def cancel(self) -> None:
        """Stop builds, pulls and waiting."""
        self._operations.cancel()

    def _resource(self, resource: Resource, call: str, name: str) -> Described | Image:
        if resource.type == _IMAGE:
            return Image(self._daemon)
        if resource.type not in _DESCRIBED:
            raise ProviderError(f"unrecognized resource type ({call}): {name}")
        return _DESCRIBED[resource.type](self._daemon)

    def _log(self, resource: Resource) -> Log:
        def log(severity: str, text: str) -> None:
            # What a resource is doing is of interest while it does it; the rest stays.
            self.engine.log(severity, text, resource.urn, ephemeral=severity == "info")

        return log
