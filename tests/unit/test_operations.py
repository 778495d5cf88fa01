"""The command line: arguments, preparation, the engine's events, the closing summary."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from operations import cli, command, stamp, subnets, tiers
from operations.backend import chosen_backend
from operations.daemon import Daemon
from operations.display import Display
from operations.engine import Engine
from operations.errors import ConfigurationError, DockerError, EngineError, OperationError, PreparationError
from operations.events import Change, EventLog, Record, Resource
from operations.prepare import engine as engine_module
from operations.prepare import image, plugins
from operations.prepare.home import engine_environment, make_home
from operations.stack import Stack
from operations.steps import Steps
from operations.summary import summary

ROOT = Path(__file__).resolve().parents[2]
STACK_URN = "urn:pulumi:s::itqan::pulumi:pulumi:Stack::itqan-s"
PART_URN = "urn:pulumi:s::itqan::itqan:server:Nginx::nginx"
UNIT_URN = "urn:pulumi:s::itqan::itqan:server:Nginx$command:remote:Command::nginx-site"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[[bytes], Daemon]]:
    """A Docker daemon that answers one request with the given bytes."""
    listeners: list[socket.socket] = []

    def answering(answer: bytes) -> Daemon:
        path = tmp_path / f"docker-{len(listeners)}.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return Daemon(f"unix://{path}")

    yield answering
    for listener in listeners:
        listener.close()


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["up", "--stak"], "unrecognized arguments: --stak"),
            (["ship"], "invalid choice: 'ship'"),
            ([], "required: COMMAND"),
        ],
    )
    def test_a_wrong_argument_is_an_error_that_helps(
        self,
        arguments: list[str],
        message: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["itqan", *arguments])
        assert cli.main() == command.FAILED
        text = capsys.readouterr().err
        assert message in text
        assert "--help" in text
        assert "Traceback" not in text

    def test_down_without_a_terminal_needs_yes(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["itqan", "down"])
        monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
        assert cli.main() == command.FAILED
        assert "./itqan down --yes" in capsys.readouterr().err

    def test_the_fast_path_imports_neither_the_settings_nor_the_sdk(self) -> None:
        program = "import sys, operations.cli, operations.run; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        assert not {"pulumi", "grpc", "pydantic", "docker", "asyncssh", "yaml"} & set(loaded)


class TestTiers:
    def test_words_begin_with_tiers_and_go_on_for_pytest(self) -> None:
        assert tiers.split(["unit", "graph", "-k", "unit"]) == (["unit", "graph"], ["-k", "unit"])

    def test_no_tier_means_all(self) -> None:
        assert tiers.split(["-x"]) == (list(tiers.TIERS), ["-x"])

    def test_a_tier_without_tests_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(tiers, "ROOT", tmp_path)
        with pytest.raises(OperationError, match="tests/soak does not exist"):
            tiers.run_tests(["soak"], {}, Steps())


class TestHome:
    def test_state_and_passphrase_are_local_by_default(self) -> None:
        variables = engine_environment({})
        assert variables["PULUMI_BACKEND_URL"].startswith("file://")
        assert variables["PULUMI_BACKEND_URL"].endswith("/.itqan/state?metadata=skip")
        assert variables["PULUMI_CONFIG_PASSPHRASE_FILE"].endswith("/.itqan/passphrase")

    @pytest.mark.parametrize("name", ["PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE"])
    def test_what_the_user_names_stays(self, name: str) -> None:
        assert name not in engine_environment({name: "s3://mine"})

    def test_a_backend_of_the_project(self, tmp_path: Path) -> None:
        project = tmp_path / "Pulumi.yaml"
        project.write_text("name: itqan\nbackend:\n  url: gs://states\n")
        assert chosen_backend({}, project) == "gs://states"
        assert chosen_backend({"PULUMI_BACKEND_URL": "s3://states"}, project) == "s3://states"
        project.write_text("name: itqan\n")
        assert chosen_backend({}, project) is None

    def test_the_engine_gets_the_projects_backend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("operations.prepare.home.chosen_backend", lambda _: "gs://states")
        variables = engine_environment({})
        assert variables["PULUMI_BACKEND_URL"] == "gs://states"
        assert "PULUMI_DIY_BACKEND_ZSTD" not in variables

    @pytest.mark.parametrize(
        ("environment", "project", "line"),
        [
            (
                {"PULUMI_BACKEND_URL": "minio://x:geheim@y"},
                "",
                "PULUMI_BACKEND_URL: minio:…: allowed: file:///",
            ),
            ({"PULUMI_BACKEND_URL": "states"}, "", "PULUMI_BACKEND_URL: states:…: allowed: file:///"),
            ({}, "backend: {url: ftp://x}", "Pulumi.yaml: backend.url: ftp:…: allowed: file:///"),
            ({}, "backend: s3://x", "Pulumi.yaml: backend: 's3://x': allowed: url: and one of file:///"),
            ({}, "backend: {url: 7}", "Pulumi.yaml: backend: {'url': 7}: allowed: url: and one of file:///"),
            ({}, "backend: [", "Pulumi.yaml: not valid YAML: "),
        ],
    )
    def test_a_backend_that_cannot_be(
        self, tmp_path: Path, environment: dict[str, str], project: str, line: str
    ) -> None:
        file = tmp_path / "Pulumi.yaml"
        file.write_text(f"{project}\n")
        with pytest.raises(ConfigurationError) as refused:
            chosen_backend(environment, file)
        assert str(refused.value).startswith(line) and "geheim" not in str(refused.value)

    def test_a_passphrase_in_the_environment_needs_no_file(self) -> None:
        assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in engine_environment({"PULUMI_CONFIG_PASSPHRASE": ""})

    def test_the_passphrase_is_made_once_and_is_private(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        home = tmp_path / "home"
        monkeypatch.setattr("operations.prepare.home.HOME", home)
        monkeypatch.setattr("operations.prepare.home.OWN_PULUMI_HOME", home / "pulumi")
        environment = engine_environment({})
        make_home(environment)
        first = (home / "passphrase").read_text()
        make_home(environment)
        assert (home / "passphrase").read_text() == first
        assert len(first) >= 32
        assert stat.S_IMODE((home / "passphrase").stat().st_mode) == 0o600


class TestEngine:
    @pytest.mark.parametrize(
        ("found", "fits"),
        [
            ("3.259.0", True),
            ("3.260.1", True),
            ("3.258.9", False),
            ("2.300.0", False),
            ("4.0.0", False),
            ("", False),
            ("3.259.0-alpha.1", True),
        ],
    )
    def test_an_engine_fits_a_program_that_is_not_newer(self, found: str, fits: bool) -> None:
        assert engine_module.fits(found, "3.259.0") is fits

    def test_the_engine_that_is_built_is_the_one_that_the_program_wants(self) -> None:
        pinned = re.search(r"^pulumi==(\S+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE)
        assert pinned
        assert f"github.com/pulumi/pulumi/pkg/v3 v{pinned[1]} " in (ROOT / "tools/engine/go.mod").read_text()

    def test_a_refusal_is_an_error_in_the_engines_words(self, tmp_path: Path) -> None:
        pulumi = tmp_path / "pulumi"
        pulumi.write_text("#!/bin/sh\necho 'error: no stack named x found' >&2\nexit 255\n")
        pulumi.chmod(0o755)
        with pytest.raises(EngineError, match=r"^pulumi stack output: no stack named x found$"):
            Engine(pulumi).call("stack", "output")

    def test_a_value_on_standard_input_reaches_the_engine(self, tmp_path: Path) -> None:
        pulumi = tmp_path / "pulumi"
        pulumi.write_text("#!/bin/sh\ncat\n")
        pulumi.chmod(0o755)
        assert Engine(pulumi).call("config", "set", stdin="geheim\n") == "geheim\n"

    def test_a_wrapper_runs_the_projects_plugin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plugins, "PYTHON", Path(sys.executable))
        monkeypatch.setattr(plugins, "PLUGINS", tmp_path)
        for name in ("command", "docker", "language"):
            program = tmp_path / name / "plugin.py"
            program.parent.mkdir()
            program.write_text(f"import sys; print({name!r}, sys.argv[1:])")
        monkeypatch.setattr(plugins, "reaches_download_site", lambda: False)
        engine = tmp_path / "bin" / "pulumi"
        plugins.ensure_plugins(Steps(), engine, {"PULUMI_HOME": str(tmp_path / "home")})
        wrappers = [
            *tmp_path.glob("home/plugins/*/pulumi-resource-*"),
            engine.parent / "pulumi-language-python",
        ]
        said = [
            subprocess.run([path, "a b"], capture_output=True, text=True, check=True) for path in wrappers
        ]
        assert sorted(answer.stdout for answer in said) == [
            "command ['a b']\n",
            "docker ['a b']\n",
            "language ['a b']\n",
        ]

    def test_a_wrapper_of_a_checkout_that_moved_is_written_anew_and_nobody_elses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plugins, "PYTHON", Path(sys.executable))
        monkeypatch.setattr(plugins, "reaches_download_site", lambda: False)
        engine = tmp_path / "bin" / "pulumi"
        language = engine.parent / "pulumi-language-python"
        moved, here = tmp_path / "moved", tmp_path / "here"
        for folder in (moved, here):
            monkeypatch.setattr(plugins, "PLUGINS", folder)
            for name in ("command", "docker", "language"):
                (folder / name).mkdir(parents=True)
                (folder / name / "plugin.py").touch()
            plugins.ensure_plugins(Steps(), engine, {"PULUMI_HOME": str(tmp_path / "home")})
            assert str(moved) in language.read_text()
        moved.rename(tmp_path / "elsewhere")
        plugins.ensure_plugins(Steps(), engine, {"PULUMI_HOME": str(tmp_path / "home")})
        for wrapper in (*tmp_path.glob("home/plugins/*/pulumi-resource-*"), language):
            assert str(here) in wrapper.read_text()
        shim = '#!/bin/sh\nexec "/nowhere/pulumi-language-python" "$@"\n'
        language.write_text(shim)
        plugins.ensure_plugins(Steps(), engine, {"PULUMI_HOME": str(tmp_path / "home")})
        assert language.read_text() == shim


class TestDaemon:
    def test_an_answer_is_status_and_body(self, daemon: Callable[[bytes], Daemon]) -> None:
        answer = daemon(b'HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\n{"a": 1}').request("GET", "/x")
        assert (answer.status, answer.json()) == (200, {"a": 1})

    def test_no_daemon_is_not_an_error(self, tmp_path: Path) -> None:
        assert not Daemon(f"unix://{tmp_path}/none.sock").answers()

    def test_a_refusal_is_an_error_in_the_daemons_words(self, daemon: Callable[[bytes], Daemon]) -> None:
        with pytest.raises(DockerError, match="conflict: in use"):
            daemon(b"HTTP/1.0 409 Conflict\r\n\r\nconflict: in use").checked("DELETE", "/images/x")

    def test_something_else_behind_the_socket_is_no_daemon(self, daemon: Callable[[bytes], Daemon]) -> None:
        assert not daemon(b"").answers()

    def test_an_address_of_another_kind_is_refused(self) -> None:
        with pytest.raises(
            DockerError, match=r"DOCKER_HOST=ssh://x: allowed: unix://PATH or tcp://HOST:PORT"
        ):
            Daemon("ssh://x")


class TestBaseImage:
    def test_ubuntu_is_taken_when_docker_has_it(self, daemon: Callable[[bytes], Daemon]) -> None:
        assert image.choose_base(Steps(), daemon(b"HTTP/1.0 200 OK\r\n\r\n{}"), None) == image.UBUNTU

    def test_an_unknown_platform_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PreparationError, match="itqan:platform: arch: no base image"):
            image.choose_base(Steps(), Daemon(f"unix://{tmp_path}/none.sock"), "arch")

    def test_the_archives_of_the_machine_serve_the_images_release(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        indexes = ["Debian|http://a/debian/", "Debian-Security|http://a/security/", "Other|http://b/"]
        monkeypatch.setattr(image, "_apt_indexes", lambda: indexes)
        assert image._sources().splitlines() == [
            "deb http://a/debian/ trixie main",
            "deb http://a/debian/ trixie-updates main",
            "deb http://a/security/ trixie-security main",
        ]

    def test_a_machine_without_a_debian_archive_is_told_what_to_type(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image, "_apt_indexes", lambda: ["Ubuntu|http://a/ubuntu/"])
        with pytest.raises(PreparationError, match=r"pulumi config set --path itqan:staging\.image"):
            image._sources()


class TestSubnets:
    def test_a_free_network_overlaps_none(self) -> None:
        taken = [IPv4Network("10.213.0.0/26"), IPv4Network("10.213.0.64/27"), IPv4Network("172.17.0.0/16")]
        assert subnets.free_subnet(taken) == IPv4Network("10.213.0.128/26")

    def test_a_full_pool_is_an_error(self) -> None:
        with pytest.raises(ConfigurationError, match=r"itqan:staging\.subnet"):
            subnets.free_subnet([IPv4Network("10.0.0.0/8")])

    def test_the_stacks_own_network_is_not_in_its_way(self, daemon: Callable[[bytes], Daemon]) -> None:
        networks = [
            {"Labels": {"itqan.stack": "mine"}, "IPAM": {"Config": [{"Subnet": "10.213.0.0/26"}]}},
            {"Labels": None, "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Subnet": "fd00::/80"}]}},
            {"IPAM": {"Config": None}},
        ]
        answer = b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(networks).encode()
        assert subnets.taken_subnets(daemon(answer), "mine") == [IPv4Network("172.17.0.0/16")]


class TestStamp:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(stamp, "HOME", tmp_path / "home")

    def test_facts_hold_while_their_sources_do(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_text("1")
        stamp.Stamp("x", [source]).write({"engine": "/bin/pulumi"})
        assert stamp.Stamp("x", [source]).read() == {"engine": "/bin/pulumi"}
        source.write_text("2")
        assert stamp.Stamp("x", [source]).read() is None

    def test_another_environment_is_another_source(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stamp.Stamp("x", []).write({})
        monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///elsewhere")
        assert stamp.Stamp("x", []).read() is None

    def test_a_damaged_note_counts_as_none(self, tmp_path: Path) -> None:
        stamp.Stamp("x", []).write({})
        (tmp_path / "home/stamps/x.json").write_text("{")
        assert stamp.Stamp("x", []).read() is None


def metadata(urn: str, operation: str, **state: Any) -> dict[str, Any]:
    kind = Resource.of(urn).type
    return {"metadata": {"urn": urn, "op": operation, "type": kind, "new": {"custom": True, **state}}}


def ended(urn: str, operation: str, **state: Any) -> dict[str, Any]:
    return {"resOutputsEvent": metadata(urn, operation, **state)}


class TestEvents:
    def test_a_urn_names_resource_and_part(self) -> None:
        assert Resource.of(UNIT_URN) == Resource("nginx-site", "command:remote:Command", "Nginx")

    def test_an_operation_that_ended_is_a_change(self) -> None:
        record = Record()
        record.take({"resourcePreEvent": metadata(UNIT_URN, "update")})
        change = record.take(ended(UNIT_URN, "update"))
        assert change is not None
        assert (change.resource.name, change.operation, change.failed) == ("nginx-site", "update", False)
        assert record.running == {}

    def test_a_thing_that_stays_is_counted(self) -> None:
        record = Record()
        assert record.take(ended(UNIT_URN, "same")) is None
        assert (record.unchanged, record.changed) == (1, 0)

    def test_a_part_is_no_thing(self) -> None:
        record = Record()
        assert record.take(ended(PART_URN, "create", custom=False)) is None
        assert (record.unchanged, record.changed) == (0, 0)

    def test_a_replacement_is_one_change(self) -> None:
        record = Record()
        for operation in ("create-replacement", "replace", "delete-replaced"):
            record.take(ended(UNIT_URN, operation))
        assert record.changed == 1

    def test_the_stacks_outputs_are_kept(self) -> None:
        record = Record()
        record.take(ended(STACK_URN, "same", outputs={"url": "https://x"}))
        assert record.outputs == {"url": "https://x"}

    @pytest.mark.parametrize(
        ("changes", "differs"), [({"same": 41}, False), ({"same": 40, "update": 1}, True)]
    )
    def test_the_engines_counts_say_whether_anything_differs(
        self, changes: dict[str, int], differs: bool
    ) -> None:
        record = Record()
        record.take({"summaryEvent": {"resourceChanges": changes}})
        assert record.differs is differs

    def test_the_engines_closing_words_are_no_second_error(self) -> None:
        record = Record()
        for message in ("Post: refused", "update failed"):
            record.take({"diagnosticEvent": {"severity": "error", "message": message}})
        assert record.errors == [("", "Post: refused")]

    def test_what_somebody_has_to_do_is_shown_at_once_and_once(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        record, display = Record(), Display()
        for message in ("! enter this\n", "apt: reading\n"):
            record.take({"diagnosticEvent": {"urn": UNIT_URN, "severity": "info", "message": message}})
        display.asks(record)
        display.asks(record)
        assert capsys.readouterr().err == "  ! enter this\n"
        assert not record.notes and not record.errors

    def test_an_error_names_its_unit_and_leaves_out_the_script(self) -> None:
        record = Record()
        message = (
            '<{%reset%}>exit status 1: running "set -e\nnginx -t":\nunknown directive "servr"<{%reset%}>'
        )
        record.take({"diagnosticEvent": {"urn": UNIT_URN, "severity": "error", "message": message}})
        assert record.errors == [
            ("Nginx nginx-site", 'exit status 1: running its script:\nunknown directive "servr"')
        ]

    def test_half_a_line_waits_for_its_other_half(self, tmp_path: Path) -> None:
        with EventLog(tmp_path / "events") as log, log.path.open("a") as engine:
            engine.write('{"sequence": 1}\n{"seq')
            engine.flush()
            assert list(log.new_events()) == [{"sequence": 1}]
            engine.write('uence": 2}\n')
            engine.flush()
            assert list(log.new_events()) == [{"sequence": 2}]


class TestSteps:
    def test_a_failed_command_is_quoted(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("operations.steps.LOGS", tmp_path)
        with pytest.raises(PreparationError, match=r"sh failed \(exit status 3\).*\n {4}no space left"):
            Steps().run("build", "Building", ["sh", "-c", "echo no space left; exit 3"])
        assert (tmp_path / "build.log").read_text() == "no space left\n"

    def test_steps_are_announced_on_standard_error_and_timed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        steps = Steps()
        with steps.step("image", "Making the image"):
            said = capsys.readouterr()
        assert (said.out, said.err) == ("", "▸ Making the image\n")
        assert set(steps.durations) == {"image"}


def test_the_summary_says_what_is_where(tmp_path: Path) -> None:
    record = Record(
        outputs={
            "url": "https://itqan.test",
            "domain": "itqan.test",
            "address": "10.213.0.10",
            "ssh": {"host": "10.213.0.10", "port": 22, "user": "root", "hostKey": "ssh-ed25519 A"},
            "container": "itqan-staging-server",
            "rootCertificate": "-----BEGIN CERTIFICATE-----",
        },
        stayed=[Change(Resource("nginx-site", "command:remote:Command", "Nginx"), "same", 0.0, 0.1)] * 62,
    )
    text = summary(
        Stack("staging", Engine(tmp_path), "docker"), record, {"engine": 231.4, "stack": 0.2}, 240.0
    )
    assert text.splitlines()[0] == "itqan staging is up: nothing to do, 62 as they were, 240.0 s"
    assert "ssh -p 22 root@10.213.0.10" in text
    assert re.search(
        r"curl --cacert \S+/staging-root\.pem --resolve itqan\.test:443:10\.213\.0\.10 https://itqan", text
    )
    assert "engine 231.4 s" in text
    assert "stack 0.2 s" not in text


def test_the_wrapper_makes_nothing_when_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations/__main__.py").write_text("import sys; print(sys.argv[1:])")
    (tmp_path / "itqan").write_bytes((ROOT / "itqan").read_bytes())
    (tmp_path / "itqan").chmod(0o755)
    (tmp_path / "requirements.txt").write_text("x==1\n")
    venv = tmp_path / ".itqan/venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "requirements.txt").write_text("x==1\n")
    (venv / "bin/python").symlink_to(sys.executable)
    link = tmp_path / "elsewhere"
    link.symlink_to(tmp_path / "itqan")
    answer = subprocess.run([link, "a b"], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert (answer.stdout, answer.stderr) == ("['a b']\n", "")
