"""A copy on Docker: one network with two containers, the server and the registrar, from one Dockerfile."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_docker as docker

from settings import Settings

from . import authority, docker_host, registrar
from .database import mounted_dump_path
from .keys import public_key
from .release import MOUNTED_REPOSITORY
from .render import text
from .unit import Unit

ROOT = Path(__file__).resolve().parent.parent
CONTEXT = Path(".itqan/context")  # relative: the state then does not depend on where the checkout is
TRUST = Path("/usr/local/share/ca-certificates")
# What the package units call, and nothing more: a change of it makes new images.
PACKAGE_LIBRARY = ("host/packages.sh", "host/base.sh", "host/apt.sh")
UNIFIED_CGROUPS = Path("/sys/fs/cgroup/cgroup.controllers")


def labels(settings: Settings) -> dict[str, str]:
    """What marks everything of this stack on the Docker host."""
    of_branch = {"itqan.branch": settings.branch, "itqan.backend": settings.staging.backend}
    return {
        "itqan.project": "itqan",
        "itqan.stack": settings.stack,
        **{key: value for key, value in of_branch.items() if value},
    }


def package_script(units: list[Unit]) -> str:
    """The apply of the package units, to run while the image is built: the copy then finds them done."""
    applies = [unit for unit in units if unit.part == "packages"]
    steps = "\n".join(_step(unit) for unit in applies)
    return f'#!/bin/bash\nset -euo pipefail\n. "$(dirname "$0")/lib.sh"\n{steps}\n'


def _step(unit: Unit) -> str:
    payload = f" <<'PAYLOAD'\n{unit.payload}PAYLOAD" if unit.payload else " </dev/null"
    return f"say {unit.name}\n{{\n{unit.apply}\n}}{payload}"


def context_files(units: list[Unit]) -> dict[str, bytes]:
    """The build context: Dockerfile, registrar, package script, authorities that this machine trusts too."""
    files = {
        "Dockerfile": text("staging/Dockerfile").encode(),
        "registrar.sh": text("staging/registrar.sh").encode(),
        "packages/lib.sh": "\n".join(map(text, PACKAGE_LIBRARY)).encode(),
        "packages/apply.sh": package_script(units).encode(),
        "trust/README": b"Authorities that the machine which builds the image trusts in addition.\n",
    }
    trusted = sorted(TRUST.glob("**/*.crt")) if TRUST.is_dir() else []
    return files | {f"trust/{path.name}": path.read_bytes() for path in trusted}


def write_context(files: dict[str, bytes], folder: Path) -> None:
    """The context on disk, and nothing else in its folder; each file in one rename: another run reads it."""
    unwanted = {path for path in folder.rglob("*") if path.is_file()} - {folder / name for name in files}
    for path in unwanted:
        path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = folder.parent / f"{folder.name}.{os.getpid()}"
            partial.write_bytes(content)
            partial.replace(path)


def base_images(settings: Settings) -> dict[str, str]:
    """The Dockerfile's arguments."""
    return {"SERVER_BASE": settings.staging.image, "REGISTRAR_BASE": settings.staging.registrar_image}


def image_name(target: str, files: dict[str, bytes], bases: dict[str, str]) -> str:
    """The name of a stage's image; the tag is its content: equal ones share it.

    The registrar's is made of its own stage alone, so that packages of the server do not make a new one.
    """
    if target == "registrar":
        stage = files["Dockerfile"].partition(b" AS host\n")[0]
        files = {"Dockerfile": stage.rpartition(b"\n")[0], "registrar.sh": files["registrar.sh"]}
        bases = {"REGISTRAR_BASE": bases["REGISTRAR_BASE"]}
    digest = hashlib.sha256(repr((sorted(files.items()), sorted(bases.items()))).encode()).hexdigest()
    return f"itqan-{target}:{digest[:12]}"


def _has_unified_cgroups(settings: Settings) -> bool:
    """Whether the Docker host has the second version of cgroups."""
    return settings.staging.docker_cgroups == 2 if settings.docker_host else UNIFIED_CGROUPS.exists()


class Staging(pulumi.ComponentResource):
    """Network, images and containers of a copy.

    `server`, the container that the units are brought to; `ready`, known once it can be looked at.
    """

    def __init__(self, settings: Settings, units: list[Unit], before: Sequence[pulumi.Resource]) -> None:
        """Arguments: `before`, what has to be there before a Docker host's own provider."""
        remote = docker_host.provider(settings, ROOT, before)
        super().__init__(
            "itqan:staging:Staging",
            "staging",
            None,
            pulumi.ResourceOptions(providers=[remote] if remote else None),
        )
        self._settings = settings
        files = context_files(units)
        write_context(files, ROOT / CONTEXT / settings.platform)
        network = self._network()
        self.registrar = self._registrar(network, self._image("registrar", files), files)
        self.server = self._server(network, self._image("server", files))
        # The registrar too: a new one has an empty zone, which is seen before anything is planned.
        self.ready = pulumi.Output.all(self.server.id, self.registrar.id)
        self.register_outputs({})

    def _image(self, target: str, files: dict[str, bytes]) -> docker.Image:
        bases = base_images(self._settings)
        context = CONTEXT / self._settings.platform
        return docker.Image(
            f"image-{target}",
            image_name=image_name(target, files, bases),
            build=docker.DockerBuildArgs(
                context=str(context), dockerfile=str(context / "Dockerfile"), target=target, args=bases
            ),
            skip_push=True,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _network(self) -> docker.Network:
        subnet = str(self._settings.subnet)
        return docker.Network(
            "network",
            name=f"itqan-{self._settings.stack}",
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=subnet)],
            labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in labels(self._settings).items()],
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["labels"]),
        )

    def _container_labels(self) -> list[docker.ContainerLabelArgs]:
        return [docker.ContainerLabelArgs(label=k, value=v) for k, v in labels(self._settings).items()]

    def _registrar(
        self, network: docker.Network, image: docker.Image, files: dict[str, bytes]
    ) -> docker.Container:
        """The authoritative name server of the copy's domain, and an ACME authority that asks it.

        A changed image replaces it: no unit could bring it up to date, and all that it has can be had anew.
        """
        settings, address = self._settings, str(self._settings.registrar_address)
        upload = docker.ContainerUploadArgs
        return docker.Container(
            "registrar",
            name=f"itqan-{settings.stack}-registrar",
            # not the image's output: that is unknown to a preview whenever the build context changes
            image=image_name("registrar", files, base_images(settings)),
            hostname="registrar",
            envs=[f"ITQAN_DOMAIN={settings.domain}", f"ITQAN_ADDRESS={address}"],
            uploads=[
                upload(
                    file="/etc/itqan/tsig.key", content=pulumi.Output.secret(registrar.tsig_clause(settings))
                ),
                upload(file="/etc/itqan/pebble/tls.pem", content=registrar.certificate(settings)),
                upload(file="/etc/itqan/pebble/authority.pem", content=authority.copy_certificate(settings)),
                upload(
                    file="/etc/itqan/pebble/authority.key",
                    content=pulumi.Output.secret(authority.copy_key(settings)),
                ),
                upload(
                    file="/etc/itqan/pebble/tls.key",
                    content=pulumi.Output.secret(registrar.private_key(settings)),
                ),
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=network.name, ipv4_address=address, aliases=["registrar"]
                )
            ],
            restart="unless-stopped",
            must_run=True,
            destroy_grace_seconds=2,
            labels=self._container_labels(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[image], ignore_changes=["labels"]),
        )

    def _volumes(self) -> list[docker.ContainerVolumeArgs]:
        """Folders of the Docker host: cgroups, which systemd needs in their first version; the repository."""
        volume = docker.ContainerVolumeArgs
        cgroups = volume(host_path="/sys/fs/cgroup", container_path="/sys/fs/cgroup", read_only=False)
        volumes = [] if _has_unified_cgroups(self._settings) else [cgroups]
        if repository := self._settings.mounted_repository:
            volumes.append(volume(host_path=repository, container_path=MOUNTED_REPOSITORY, read_only=True))
        return volumes

    def _dump(self) -> list[docker.ContainerMountArgs] | None:
        """The dump of the first database; Docker refuses one that is not there."""
        if not (dump := self._settings.mounted_dump):
            return None
        return [
            docker.ContainerMountArgs(
                type="bind", source=dump, target=mounted_dump_path(self._settings), read_only=True
            )
        ]

    def _server(self, network: docker.Network, image: docker.Image) -> docker.Container:
        """systemd as PID 1, sshd with the stack's host key; everything else is the units' work.

        A changed image does not replace a copy that lives: the package units bring it up to date. Nor does
        another dump: the copy has its database.
        """
        settings = self._settings
        assert settings.ssh_host_private_key is not None
        host_key = settings.ssh_host_private_key.get_secret_value()
        login_key = public_key(settings.ssh_private_key.get_secret_value())
        upload = docker.ContainerUploadArgs
        return docker.Container(
            "server",
            name=f"itqan-{settings.stack}-server",
            image=image.image_name,
            hostname=settings.server.hostname,
            envs=["container=docker"],
            capabilities=docker.ContainerCapabilitiesArgs(adds=["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]),
            security_opts=["seccomp=unconfined", "apparmor=unconfined"],
            cgroupns_mode="private" if _has_unified_cgroups(settings) else "host",
            volumes=self._volumes(),
            mounts=self._dump(),
            tmpfs={"/run": "", "/run/lock": "", "/tmp": ""},
            tty=True,
            uploads=[
                upload(file="/root/.ssh/authorized_keys", content=f"{login_key}\n"),
                upload(
                    file="/etc/ssh/ssh_host_ed25519_key",
                    content=pulumi.Output.secret(host_key),
                    permissions="0600",
                ),
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=network.name, ipv4_address=str(settings.server_address)
                )
            ],
            restart="unless-stopped",
            must_run=True,
            destroy_grace_seconds=5,
            labels=self._container_labels(),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["image", "labels", "mounts"]),
        )
