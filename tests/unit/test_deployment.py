"""Deployments by hand: deploy.sh and templates, the lock that both ways take, what audit says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components import deployment
from components.findings import DEPLOYMENT, RUNNING, findings
from components.observation import State
from components.render import FILES, managed
from components.sample import sample_repository
from components.supervisor import program_content, programs
from components.unit import Unit
from operations import cli
from settings import Settings
from tests.fakes.release_host import (
    NEXT,
    Tool,
    calls,
    commit,
    git,
    log,
    make_released,
    migration,
    needs_root,
)

SAMPLE = FILES / "sample-app"
Bash = Callable[..., "subprocess.CompletedProcess[str]"]
Make = Callable[..., Settings]


def test_the_sample_carries_what_is_rendered(prod: Settings, staging: Settings) -> None:
    """As `./itqan deployment prod files/sample-app` writes it."""
    for settings in (prod, staging):
        for path, text in deployment.files(settings).items():
            assert (SAMPLE / path).read_text() == text, path
    assert (SAMPLE / deployment.SCRIPT).read_text().splitlines()[
        1
    ] == f"# {managed('files/deployment/deploy.sh')}"
    assert (SAMPLE / deployment.SCRIPT).stat().st_mode & 0o111 == 0o111


def test_the_documents_files(prod: Settings) -> None:
    assert set(deployment.files(prod)) == {
        "deployment/deploy.sh",
        "deployment/supervisor/itqan-worker.conf",
        "deployment/supervisor/itqan-reverb.conf",
        "deployment/supervisor/itqan-scheduler.conf",
    }


def test_templates_are_the_files_that_supervisor_gets(stack: Make) -> None:
    settings = stack("prod", scheduler="supervisor")
    made = deployment.files(settings)
    for program in programs(settings):
        name = f"itqan-{program.file.removeprefix('itqan-')}"
        assert made[f"deployment/supervisor/{name}"] == program_content(settings, program)
    assert made == deployment.files(stack("prod"))


@pytest.fixture
def app(tool: Tool, tmp_path: Path) -> Path:
    """The application, released; what is deployed is its branch main."""
    made = make_released(tool, tmp_path)
    (tmp_path / "etc/release.ref").write_text("REF=main\nSTACK=prod\n")
    return made


@needs_root
def test_the_newest_commit_through_all_nine_steps(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app)
    done = tool("pull")
    assert done.returncode == 0, done.stderr
    assert git(app, "rev-parse", "HEAD") == wanted
    assert f"release: {wanted[:12]}, the newest of main, runs" in done.stderr
    assert "php artisan down --retry=15 --render=errors::503" in calls(tmp_path)
    [noted] = log(tmp_path)
    assert (noted["kind"], noted["ref"], noted["result"]) == ("full", "main", "released")
    assert str(noted["by"]).endswith(", by hand")


@needs_root
@pytest.mark.parametrize(
    ("options", "kind", "absent"),
    [(["--quick"], "quick", "php artisan down"), (["--skip-npm"], "full", "npm run")],
)
def test_options_of_the_document(
    tool: Tool, app: Path, tmp_path: Path, options: list[str], kind: str, absent: str
) -> None:
    commit(app, **{"resources__css__app.css": "/* x */\n"})
    done = tool("pull", *options)
    assert done.returncode == 0, done.stderr
    assert log(tmp_path)[0]["kind"] == kind
    assert [call for call in calls(tmp_path) if call.startswith(absent)] == []


@needs_root
@pytest.mark.parametrize(("typed", "released"), [("itqan\n", True), ("itqan2\n", False), ("", False)])
def test_fresh_asks_for_the_databases_name(tool: Tool, app: Path, typed: str, released: bool) -> None:
    before, wanted = git(app, "rev-parse", "HEAD"), commit(app)
    done = tool("pull", "--fresh", stdin=typed)
    assert "Type the name of the database, itqan: " in done.stderr
    assert (done.returncode == 0) is released, done.stderr
    assert git(app, "rev-parse", "HEAD") == (wanted if released else before)


@needs_root
def test_fresh_is_refused_in_production(tool: Tool, app: Path) -> None:
    (app / ".env").write_text("APP_DEBUG=false\nAPP_ENV=production\n")
    done = tool("pull", "--fresh", stdin="itqan\n")
    assert done.returncode == 1
    assert "--fresh would drop the tables of a production server" in done.stderr
    assert "Type the name" not in done.stderr


@needs_root
def test_a_step_that_fails_is_taken_back(tool: Tool, app: Path, tmp_path: Path) -> None:
    before = git(app, "rev-parse", "HEAD")
    (tmp_path / "good").write_text(before)
    (tmp_path / "broken").write_text("php view:cache\n")
    commit(app)
    done = tool("pull")
    assert done.returncode == 3
    assert f"{before[:12]} runs again, as before" in done.stderr
    assert git(app, "rev-parse", "HEAD") == before
    assert log(tmp_path)[-1]["result"] == "failed, taken back"


@needs_root
def test_a_tag_and_a_commit_are_what_the_stack_asks_for(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app)
    git(tmp_path / "work", "tag", "-a", "v1", "-m", "v1")
    git(tmp_path / "work", "push", "-q", "origin", "v1")
    commit(app)
    (tmp_path / "etc/release.ref").write_text("REF=v1\nSTACK=prod\n")
    assert tool("pull").returncode == 0
    assert git(app, "rev-parse", "HEAD") == wanted
    (tmp_path / "etc/release.ref").write_text(f"REF={sample_repository().commit}\nSTACK=prod\n")
    done = tool("pull", "--quick")
    assert done.returncode == 0
    assert "to follow a branch again: ./itqan deploy prod BRANCH" in done.stderr
    assert git(app, "rev-parse", "HEAD") == sample_repository().commit


@needs_root
def test_a_ref_that_is_gone_is_one_line(tool: Tool, app: Path, tmp_path: Path) -> None:
    before = git(app, "rev-parse", "HEAD")
    (tmp_path / "etc/release.ref").write_text("REF=gone\nSTACK=prod\n")
    done = tool("pull")
    assert done.returncode == 1
    assert "has no branch or tag gone, which the stack asks for (itqan:release.ref)" in done.stderr
    assert git(app, "rev-parse", "HEAD") == before


@needs_root
def test_who_comes_second_waits_and_is_told_for_whom(tool: Tool, app: Path, tmp_path: Path) -> None:
    """By hand while another release runs; the lock is one, so it is the same the other way round."""
    wanted = commit(app)
    holder = subprocess.Popen(
        ["flock", str(tmp_path / "itqan-release-tool.lock"), "bash", "-c", "echo held; read -r _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    (tmp_path / "itqan-release-tool.lock").write_text("deploy from 192.0.2.9 at 12:00:00\n")
    for words in (["pull"], ["deploy", "main", wanted]):
        second = subprocess.Popen(
            ["bash", str(tmp_path / "tool"), *words],
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": f"{tmp_path}/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        assert second.stderr
        said = second.stderr.readline()
        assert said == (
            "release: another release runs, begun by deploy from 192.0.2.9 at 12:00:00; waiting for its end\n"
        )
        assert calls(tmp_path) == []
        second.kill()
        second.wait()
    subprocess.run(["pkill", "-KILL", "-f", f"{tmp_path}/tool"], check=False)
    holder.communicate("end\n")
    assert tool("pull").returncode == 0
    assert git(app, "rev-parse", "HEAD") == wanted


@needs_root
def test_a_terminal_that_is_closed_stops_nothing(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app)
    (tmp_path / "words").write_text("x\n" * 100)
    started = subprocess.Popen(
        ["bash", str(tmp_path / "tool"), "pull"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PATH": f"{tmp_path}/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert started.stderr
    started.stderr.readline()
    started.stderr.close()
    subprocess.run(["pkill", "-HUP", "-s", str(started.pid)], check=True)
    started.wait()
    assert tool("cache").returncode == 0  # it waited for the end of the other
    assert git(app, "rev-parse", "HEAD") == wanted
    assert log(tmp_path)[-1]["result"] == "released"


@needs_root
def test_a_rendered_file_is_not_in_the_way_of_the_repositorys_own(
    tool: Tool, app: Path, tmp_path: Path
) -> None:
    git(app, "rm", "-q", "--cached", "-r", "deployment")
    git(app, "commit", "-q", "-m", "without")
    git(app, "push", "-q", "origin", "HEAD:main")
    script = (SAMPLE / deployment.SCRIPT).read_text()
    wanted = commit_over(app, tmp_path, **{"deployment__deploy.sh": f"{script}# ours\n"})
    done = tool("deploy", "main", wanted)
    assert done.returncode == 0, done.stderr
    assert (app / deployment.SCRIPT).read_text().endswith("# ours\n")


def commit_over(app: Path, tmp_path: Path, **files: str) -> str:
    """A commit on what is in the repository now."""
    if (tmp_path / "work").exists():
        git(tmp_path / "work", "pull", "-q", "origin", "main")
    return commit(app, **files)


class TestOnTheHost:
    """The unit of the folder, in a checkout that tracks none, some, or all of the files."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "app"
        root.mkdir()
        git(tmp_path, "init", "-q", str(root))
        git(root, "commit", "-q", "--allow-empty", "-m", "one")
        return root

    @pytest.fixture
    def unit(self, stack: Make, root: Path, me: str) -> Unit:
        settings = stack(
            "prod",
            application={"path": str(root)},
            permissions={"application": {"owner": me, "mode": "755"}},
        )
        return next(unit for unit in deployment.units(settings) if unit.name == "release/deployment")

    def test_untracked_files_are_placed_out_of_sight(self, bash: Bash, root: Path, unit: Unit) -> None:
        assert bash(unit.probe).stdout.startswith("deployment differs: deployment/deploy.sh deployment/sup")
        applied = bash(unit.apply)
        assert applied.returncode == 0, applied.stderr
        assert bash(unit.probe).stdout == "deployment as rendered\n"
        assert git(root, "status", "--porcelain") == ""
        assert (root / "deployment/supervisor").stat().st_mode & 0o777 == 0o755
        again = bash(unit.apply)
        assert again.returncode == 0
        assert (root / ".git/info/exclude").read_text().count("/deployment/deploy.sh\n") == 1

    def test_what_the_repository_tracks_is_its_own(
        self, bash: Bash, root: Path, unit: Unit, stack: Make
    ) -> None:
        (root / "deployment").mkdir()
        (root / deployment.SCRIPT).write_text("#!/bin/bash\ngit pull\n")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "two")
        assert bash(unit.apply).returncode == 0
        assert (root / deployment.SCRIPT).read_text() == "#!/bin/bash\ngit pull\n"
        assert bash(unit.probe).stdout == "deployment as rendered\n"
        assert git(root, "status", "--porcelain") == ""
        probe = deployment.tracked_probe(stack("prod", application={"path": str(root)}))
        assert bash(probe).stdout == "unlocked deployment/deploy.sh\n"
        (root / deployment.SCRIPT).write_text("#!/bin/bash\nsudo itqan-release pull\n")
        assert bash(probe).stdout == "differs deployment/deploy.sh\n"

    def test_a_pull_that_brings_the_files_is_not_stopped_by_ours(
        self, bash: Bash, root: Path, unit: Unit, tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "-q", str(root), "work")
        assert bash(unit.apply).returncode == 0
        work = tmp_path / "work"
        (work / "deployment").mkdir()
        (work / deployment.SCRIPT).write_text("theirs\n")
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", "two")
        git(root, "pull", "-q", str(work), "HEAD")
        assert (root / deployment.SCRIPT).read_text() == "theirs\n"

    def test_the_rendered_ones_in_the_repository_are_no_finding(
        self, bash: Bash, root: Path, stack: Make
    ) -> None:
        """Of a stack of either hardening."""
        for hardening in ("documented", "strict"):
            settings = stack("prod", application={"path": str(root)}, hardening=hardening)
            for path, text in deployment.files(settings).items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            git(root, "add", "-A")
            for asking in ("documented", "strict"):
                other = stack("prod", application={"path": str(root)}, hardening=asking)
                assert bash(deployment.tracked_probe(other)).stdout == ""


class TestFindings:
    def seen(self, name: str, text: str) -> list[State]:
        return [State(Unit(name, "", "", ""), text)]

    def of(self, settings: Settings, name: str, text: str) -> list[tuple[str, str]]:
        """Texts and lines beyond those of the settings alone."""
        without = findings(settings)
        return [(f.text, f.line) for f in findings(settings, self.seen(name, text)) if f not in without]

    def entry(self, commit: str, result: str = "released", origin: str = "") -> str:
        return json.dumps({"commit": commit, "result": result, "from": origin})

    def test_a_pull_by_hand_without_the_tool(self, prod: Settings) -> None:
        old, new = "a" * 40, "b" * 40
        [(text, line)] = self.of(prod, RUNNING, f"running {new}\n{self.entry(old)}\n")
        assert f"commit {new[:12]} was checked out by hand, the last release was {old[:12]}" in text
        assert line == "./itqan deploy prod --full"

    @pytest.mark.parametrize("cut", ["", '{"when": "cut'])
    def test_what_a_release_left(self, prod: Settings, cut: str) -> None:
        old, new = "a" * 40, "b" * 40
        assert self.of(prod, RUNNING, f"running {new}\n{self.entry(new)}\n{cut}") == []
        taken_back = self.entry(new, "failed, taken back", old)
        assert self.of(prod, RUNNING, f"running {old}\n{taken_back}\n{cut}") == []

    @pytest.mark.parametrize("text", ["", "running \n", f"running {'a' * 40}", f"running {'a' * 40}\n[]\n"])
    def test_a_host_without_releases_has_nothing_to_tell(self, prod: Settings, text: str) -> None:
        assert self.of(prod, RUNNING, text) == []

    def test_files_of_the_repository(self, prod: Settings) -> None:
        text = "unlocked deployment/deploy.sh\ndiffers deployment/supervisor/itqan-reverb.conf\n"
        first, second = self.of(prod, DEPLOYMENT, text)
        assert "deployment/deploy.sh takes no lock" in first[0]
        assert "itqan-reverb.conf says something else" in second[0]
        assert first[1].startswith("./itqan deployment prod ")


class TestTheCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prod: Settings) -> Path:
        """A checkout of an application, as the command sees it; the settings are there."""
        monkeypatch.setattr("operations.deployment.ready_engine", lambda _steps: None)
        monkeypatch.setattr("operations.audit.read_settings", lambda _names, _engine: [prod])
        git(tmp_path, "init", "-q", str(tmp_path / "shop"))
        (tmp_path / "shop/artisan").touch()
        return tmp_path / "shop"

    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
        monkeypatch.setattr("sys.argv", ["itqan", "deployment", "prod", *words])
        return cli.main()

    def test_it_writes_and_then_agrees(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, prod: Settings
    ) -> None:
        assert self.run(monkeypatch, str(folder), "--check") == 2
        assert not (folder / "deployment").exists()
        assert self.run(monkeypatch, str(folder)) == 0
        for path, text in deployment.files(prod).items():
            assert (folder / path).read_text() == text
        assert self.run(monkeypatch, str(folder), "--check") == 0

    def test_what_is_in_no_commit_is_not_overwritten(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "deployment").mkdir()
        (folder / deployment.SCRIPT).write_text("mine\n")
        assert self.run(monkeypatch, str(folder)) == 1
        assert "deployment/deploy.sh: has changes that are in no commit" in capsys.readouterr().err
        assert (folder / deployment.SCRIPT).read_text() == "mine\n"
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "mine")
        assert self.run(monkeypatch, str(folder)) == 0

    def test_another_folder_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, str(tmp_path)) == 1
        assert "no Laravel application" in capsys.readouterr().err


def test_deploy_sh_elsewhere_says_what_it_is_for(tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    text = (SAMPLE / deployment.SCRIPT).read_text()
    script.write_text(text.replace("/usr/local/sbin/itqan-release", f"{tmp_path}/none"))
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"deploy: {tmp_path}/none is missing: this is no server of the stack" in done.stderr


@needs_root
def test_a_migration_by_hand_is_backed_up_like_any(tool: Tool, app: Path, tmp_path: Path) -> None:
    migration(app, tmp_path)
    done = tool("pull")
    assert done.returncode == 0, done.stderr
    assert f"release: migrations to run: {NEXT}\n" in done.stderr
    assert log(tmp_path)[-1]["backup"]
