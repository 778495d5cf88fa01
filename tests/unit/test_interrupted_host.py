"""What a run that was killed on the host leaves is seen by the probes, and does not stop the next one."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.sample import sample_repository
from tests.fakes.release_host import Tool, make_tool, needs_root

Bash = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    """A function: itqan-release in a folder of its own; the steps after the checkout fail."""
    made = make_tool(tmp_path)
    (tmp_path / "broken").write_text("composer install\nnpm ci\n")
    return made


@pytest.fixture
def app(tool: Tool, tmp_path: Path) -> Path:
    """The application's folder at the sample's commit, as a release leaves it after step 3."""
    sample = sample_repository()
    assert tool("import", f"{tmp_path}/origin.git", "main", stdin=sample.stream).returncode == 0
    assert tool("clone").returncode == 0
    git(tmp_path / "app", "checkout", "-q", "-f", "-B", "main", sample.commit)
    (tmp_path / "app/.env").write_text("APP_DEBUG=false\n")
    return tmp_path / "app"


def git(folder: Path, *words: str) -> str:
    """Standard output of git."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_file_that_was_not_tested_is_not_right(bash: Bash, tmp_path: Path, me: str) -> None:
    for before in ("old\n", None):
        if before:
            (tmp_path / "file").write_text(f"# managed by itqan\n{before}")
        bash(f"place $PWD/file {me} 644 bash -c 'kill -9 $PPID'", "# managed by itqan, new\n")
        assert bash("probe_file $PWD/file").stdout == f"file {tmp_path}/file not tested\n"
        assert bash(f"place $PWD/file {me} 644 true", "# managed by itqan, new\n").returncode == 0
        assert "sha256:" in bash("probe_file $PWD/file").stdout
        (tmp_path / "file").unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_half_a_file_is_written_anew_and_nobody_else_could_read_it(
    bash: Bash, tmp_path: Path, me: str
) -> None:
    half = tmp_path / ".secret.itqan-new"
    place = f"(echo half; sleep 1) | place $PWD/secret {me} 644"
    bash(f"{place} & wait_until 5 test -s .secret.itqan-new; kill -9 $!")
    assert half.stat().st_mode & 0o077 == 0
    half.write_text("half of another run")
    assert bash(f"echo whole | place $PWD/secret {me} 600").returncode == 0
    assert (tmp_path / "secret").read_text() == "whole\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


def test_a_process_that_started_a_moment_before_the_file_changed_is_stale(bash: Bash) -> None:
    """Whole seconds would not tell: a run can be killed within the second of its reload."""
    marker = f"itqan-moment-{os.getpid()}"
    done = bash(f"""
        bash -c 'exec -a {marker} sleep 20' & pid=$!
        wait_until 5 pgrep -x -f '{marker} 20'
        sleep 0.3; touch file
        probe_loaded it {marker} file
        touch -d '0.6 seconds ago' file
        probe_loaded it {marker} file
        kill $pid
    """)
    assert done.stdout.splitlines()[0] == "loaded it stale", done.stderr


ITEMS = ("cert", "privkey", "chain", "fullchain")
CONFIGURED = "fullchain = x\n"


@pytest.fixture
def lineage(bash: Bash, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """A function: bash after the library, certbot's folders here, two certificates of `site`."""
    archive = tmp_path / "archive/site"
    for folder in (archive, tmp_path / "live/site", tmp_path / "renewal"):
        folder.mkdir(parents=True)
    (tmp_path / "renewal/site.conf").write_text(CONFIGURED)
    for number in (1, 2):
        key, certificate = archive / f"privkey{number}.pem", archive / f"cert{number}.pem"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        place = ("-keyout", str(key), "-out", str(certificate))
        command = ["openssl", "req", "-x509", *curve, "-subj", "/CN=itqan.test", *place]
        subprocess.run(command, check=True, capture_output=True)
        for item in ("chain", "fullchain"):
            (archive / f"{item}{number}.pem").write_text(certificate.read_text())
    edit = f"s|/etc/letsencrypt|{tmp_path}|g; s/root:root/$(id -un):$(id -gn)/"
    names = "probe_links mend_lineage newest_whole"
    moved = f'for name in {names}; do eval "$(declare -f $name | sed "{edit}")"; done'
    return lambda program: bash(f"{moved}\n{program}")


def link(tmp_path: Path, **numbers: int) -> None:
    """The lineage's links, each to the certificate of its number."""
    for item, number in numbers.items():
        (tmp_path / f"live/site/{item}.pem").symlink_to(f"../../archive/site/{item}{number}.pem")


@pytest.mark.parametrize(
    ("links", "broken", "number"),
    [
        ({"cert": 2, "privkey": 1, "chain": 1, "fullchain": 1}, None, 2),
        ({"cert": 2, "privkey": 2, "chain": 2}, None, 2),
        ({"cert": 1, "privkey": 1, "chain": 1}, "fullchain2.pem", 1),
        ({"cert": 2, "privkey": 1, "chain": 1, "fullchain": 1}, "privkey2.pem", 1),
    ],
)
def test_links_to_two_certificates_are_mended_without_a_new_one(
    lineage: Callable[[str], subprocess.CompletedProcess[str]],
    tmp_path: Path,
    links: dict[str, int],
    broken: str | None,
    number: int,
) -> None:
    link(tmp_path, **links)
    if broken:
        file = tmp_path / "archive/site" / broken
        file.write_text(file.read_text()[:60])
    assert lineage("probe_links site").stdout == "half\n"
    assert lineage("mend_lineage site; probe_links site").stdout == "whole\n"
    found = {item: (tmp_path / f"live/site/{item}.pem").resolve().name for item in ITEMS}
    assert found == {item: f"{item}{number}.pem" for item in ITEMS}
    assert (tmp_path / "renewal/site.conf").read_text() == CONFIGURED


def test_a_first_certificate_that_certbot_noted_nothing_of_stays(
    lineage: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """certbot makes its file about a lineage first, empty, and fills it last."""
    link(tmp_path, **dict.fromkeys(ITEMS, 1))
    conf = tmp_path / "renewal/site.conf"
    conf.write_text("")
    assert lineage("mend_lineage site").returncode == 0
    assert f"fullchain = {tmp_path}/live/site/fullchain.pem\n" in conf.read_text()
    assert conf.read_text().endswith("[renewalparams]\n")


def test_without_a_whole_certificate_all_of_it_goes_aside(
    lineage: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for number in (1, 2):
        (tmp_path / f"archive/site/privkey{number}.pem").write_text("half")
    assert lineage("mend_lineage site").returncode == 0
    assert len(list((tmp_path / "aside").iterdir())) == 3
    assert not (tmp_path / "live/site").exists()


@needs_root
@pytest.mark.parametrize(
    "left", [".git/index.lock", ".git/config.lock", ".git/refs/remotes/origin/main.lock"]
)
def test_locks_of_a_git_that_was_killed(tool: Tool, app: Path, left: str) -> None:
    (app / left).parent.mkdir(parents=True, exist_ok=True)
    (app / left).touch()
    (app / ".git/objects/pack/tmp_pack_abc").touch()
    done = tool("clone")
    assert done.returncode == 0, done.stderr
    assert "a git that was killed left in" in done.stderr
    assert not (app / left).exists()
    assert not (app / ".git/objects/pack/tmp_pack_abc").exists()
    assert "killed" not in tool("clone").stderr


@needs_root
def test_locks_of_a_git_that_works_are_not_touched(tool: Tool, app: Path) -> None:
    with subprocess.Popen(["git", "-C", str(app), "cat-file", "--batch"], stdin=subprocess.PIPE) as other:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{other.pid}/cwd").readlink() != app:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (app / ".git/index.lock").touch()
        script = f"{app.parent}/tool"
        text = Path(script).read_text()
        Path(script).write_text(text.replace("wait_until 60 no_git_in", "wait_until 1 no_git_in"))
        done = tool("clone")
        assert done.returncode == 1
        assert f"{app}: git is at work there" in done.stderr
        assert (app / ".git/index.lock").exists()
        assert other.stdin
        other.stdin.close()
    assert tool("clone").returncode == 0


@needs_root
@pytest.mark.parametrize("gone", ["config", "HEAD", "objects", "refs"])
def test_half_a_clone_is_gone_on_with(tool: Tool, app: Path, gone: str) -> None:
    """A clone that was killed before there was a commit: any of its files can be missing."""
    subprocess.run(["rm", "-rf", str(app)], check=True)
    app.mkdir()
    assert tool("clone").returncode == 0
    subprocess.run(["rm", "-rf", str(app / ".git" / gone)], check=True)
    done = tool("clone")
    assert done.returncode == 0, done.stderr
    assert git(app, "rev-parse", "origin/main") == sample_repository().commit


@needs_root
def test_half_a_checkout_is_gone_on_with_and_what_differs_is_kept(
    tool: Tool, app: Path, tmp_path: Path
) -> None:
    (app / "artisan").write_text("half")
    commit = sample_repository().commit
    refused = tool("deploy", "main", commit)
    assert "has local changes, which a release would throw away" in refused.stderr
    (app / ".git/itqan-checkout").touch()
    done = tool("deploy", "main", commit)
    assert "a checkout was interrupted: going on with it" in done.stderr
    assert git(app, "status", "--porcelain", "--untracked-files=no") == ""
    assert not (app / ".git/itqan-checkout").exists()
    (patch,) = (tmp_path / "aside").glob("checkout.*.patch")
    assert "half" in patch.read_text()


def test_unfinished_dependencies_and_assets_are_not_current(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "app/.git").mkdir(parents=True)
    (tmp_path / "app/package.json").touch()
    for what, probe in (("vendor", "vendor_state $PWD/app composer.json"), ("build", "build_state $PWD/app")):
        (tmp_path / f"app/.git/itqan-{what}").touch()
        assert bash(probe).stdout == "unfinished\n"


def test_a_configuration_that_the_workers_do_not_have_yet_does_not_count(bash: Bash, tmp_path: Path) -> None:
    cache = tmp_path / "bootstrap/cache"
    cache.mkdir(parents=True)
    bash("touch .env; touch -r .env bootstrap/cache/config.php")
    assert bash("probe_cached $PWD").stdout == "environment not cached\n"
    bash("touch -d '1 second' bootstrap/cache/config.php")
    assert bash("probe_cached $PWD").stdout == "environment cached\n"
