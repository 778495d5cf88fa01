"""A copy on Docker: network, images, two containers, in a form that a change of packages does not replace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from components.staging import base_images, context_files, image_name, package_script, write_context
from components.unit import Unit
from settings import Settings
from tests.graph.recorder import Program, in_clear, is_secret, plain


def test_network_images_and_containers(copy: Program) -> None:
    kinds = {
        name: resource.type
        for name, resource in copy.resources.items()
        if resource.type.startswith("docker:")
    }
    assert kinds == {
        "network": "docker:index/network:Network",
        "image-server": "docker:index/image:Image",
        "image-registrar": "docker:index/image:Image",
        "server": "docker:index/container:Container",
        "registrar": "docker:index/container:Container",
    }


def test_names_and_labels_are_the_stacks(copy: Program) -> None:
    for name in ("network", "server", "registrar"):
        inputs = plain(copy.resources[name].inputs)
        assert inputs["name"].startswith("itqan-staging"), name
        assert {"label": "itqan.stack", "value": "staging"} in inputs["labels"], name


def test_addresses_lie_in_the_network(copy: Program, staging: Settings) -> None:
    assert copy.resources["network"].inputs["ipamConfigs"] == [{"subnet": str(staging.subnet)}]
    for name, address in (("server", staging.server_address), ("registrar", staging.registrar_address)):
        (network,) = plain(copy.resources[name].inputs)["networksAdvanced"]
        assert network["ipv4Address"] == str(address)


def test_secrets_in_uploads_are_marked(copy: Program) -> None:
    secret = {
        upload["file"]
        for name in ("server", "registrar")
        for upload in plain_list(copy, name)
        if is_secret(upload["content"])
    }
    assert secret == {
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/itqan/tsig.key",
        "/etc/itqan/pebble/tls.key",
        "/etc/itqan/pebble/authority.key",
    }


def plain_list(copy: Program, name: str) -> list[dict[str, object]]:
    """A container's uploads with the marks of their contents."""
    uploads: list[dict[str, object]] = copy.resources[name].inputs["uploads"]
    return uploads


def test_the_registrars_image_is_its_own_files_alone(staging: Settings) -> None:
    files = context_files([])
    name = image_name("registrar", files, base_images(staging))
    other = {**files, "packages/apply.sh": b"others", "trust/ca.crt": b"others"}
    assert image_name("registrar", other, base_images(staging)) == name
    assert image_name("registrar", {**files, "registrar.sh": b"others"}, base_images(staging)) != name
    another_server = {**base_images(staging), "SERVER_BASE": "others"}
    assert image_name("registrar", files, another_server) == name
    assert image_name("server", files, another_server) != image_name("server", files, base_images(staging))


def test_a_new_image_label_or_dump_does_not_replace_a_living_copy(copy: Program) -> None:
    assert copy.resources["server"].ignored == ["image", "labels", "mounts"]
    assert copy.resources["registrar"].ignored == ["labels"]
    assert copy.resources["network"].ignored == ["labels"]


def test_a_folder_of_the_docker_host_and_a_dump_are_mounted_to_be_read(run: Callable[..., Program]) -> None:
    program = run(
        "staging",
        release={"repository": "/srv/x.git", "ref": "a" * 40},
        staging={"database": "/srv/y.sql.gz"},
    )
    server = program.resources["server"].inputs
    repository = next(v for v in server["volumes"] if v["containerPath"] == "/srv/git/release.git")
    assert (repository["hostPath"], repository["readOnly"]) == ("/srv/x.git", True)
    assert server["mounts"] == [
        {"type": "bind", "source": "/srv/y.sql.gz", "target": "/srv/itqan/dump.sql.gz", "readOnly": True}
    ]


def test_the_state_does_not_know_where_the_checkout_is(copy: Program, root: Path) -> None:
    build = copy.resources["image-server"].inputs["build"]
    assert re.fullmatch(r"\.itqan/context/[a-z0-9.-]+", build["context"])
    assert str(root) not in str(copy.resources["image-server"].inputs)


def test_no_published_port_and_no_privileged_container(copy: Program) -> None:
    for name in ("server", "registrar"):
        inputs = copy.resources[name].inputs
        assert "ports" not in inputs
        assert "privileged" not in inputs


def test_the_host_is_not_observed_before_its_container_is_there(copy: Program) -> None:
    assert "server" in copy.all_after("nginx-site")


def test_the_image_is_made_by_the_package_units_alone(staging_units: dict[str, Unit]) -> None:
    units = list(staging_units.values())
    script = package_script(units)
    for unit in units:
        assert (f"say {unit.name}\n" in script) is (unit.part == "packages"), unit.name
    assert script.index("say packages/pins") < script.index("say packages/installed")


def test_no_secret_in_the_build_context(staging_units: dict[str, Unit], secrets: dict[str, str]) -> None:
    for name, content in context_files(list(staging_units.values())).items():
        assert not [secret for secret, value in secrets.items() if value.encode() in content], name


def test_the_context_on_disk_is_exactly_the_files(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/file").write_text("x")
    (tmp_path / "same").write_bytes(b"same")
    before = (tmp_path / "same").stat().st_mtime_ns
    write_context({"same": b"same", "a/b": b"new"}, tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"same", "a/b"}
    assert (tmp_path / "same").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["Dockerfile", "registrar.sh", "packages/apply.sh", "packages/lib.sh"])
def test_the_context_has(staging_units: dict[str, Unit], name: str) -> None:
    assert context_files(list(staging_units.values()))[name].strip()


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEBLKdHKdq5Bj2vzQJyAQlYTE4zNmFlZGZhYmNkZWZn"
DOCKER_HOST = {"address": "ssh://root@192.0.2.7:2222", "hostKey": HOST_KEY}


@pytest.fixture(scope="module")
def elsewhere(run: Callable[..., Program]) -> Program:
    """A copy on another Docker host."""
    chosen = {"docker": [DOCKER_HOST], "dockerHost": DOCKER_HOST["address"], "dockerCgroups": 2}
    return run("staging", staging=chosen)


def test_another_docker_host_has_a_provider_of_its_own(elsewhere: Program) -> None:
    provider = elsewhere.resources["docker-host"]
    assert provider.type == "pulumi:providers:docker"
    assert provider.inputs["host"] == "ssh://root@192.0.2.7:2222"
    assert provider.after == {"organization/itqan/staging"}, (
        "the own outputs are read before a state is written"
    )
    options = json.loads(provider.inputs["sshOpts"])
    assert options[2:4] == ["-i", ".itqan/docker/key"]
    assert {"StrictHostKeyChecking=yes", "UserKnownHostsFile=.itqan/docker/known_hosts"} <= set(options)
    for name in ("network", "server", "registrar", "image-server", "image-registrar"):
        assert "::docker-host::" in elsewhere.resources[name].provider, name
    assert elsewhere.outputs["dockerHost"] == "ssh://root@192.0.2.7:2222"


def test_this_machine_needs_none(copy: Program) -> None:
    assert "docker-host" not in copy.resources
    assert {resource.provider for resource in copy.resources.values()} == {""}
    assert "dockerHost" not in copy.outputs
    assert all("proxy" not in plain(command.inputs["connection"]) for command in copy.commands.values())


def test_commands_go_through_the_docker_host(elsewhere: Program, secrets: dict[str, str]) -> None:
    for command in elsewhere.commands.values():
        proxy = plain(command.inputs["connection"])["proxy"]
        assert (proxy["host"], proxy["port"], proxy["user"]) == ("192.0.2.7", 2222, "root")
        assert (proxy["hostKey"], proxy["privateKey"]) == (HOST_KEY, secrets["dockerPrivateKey"])
        assert secrets["dockerPrivateKey"].splitlines()[1] not in in_clear(command.inputs)


def test_cgroups_are_those_of_the_docker_host(elsewhere: Program) -> None:
    server = plain(elsewhere.resources["server"].inputs)
    assert server["cgroupnsMode"] == "private"
    assert "volumes" not in server or not server["volumes"]
