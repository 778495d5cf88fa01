"""Private repositories: a key that the host makes, a token, against git servers that let nobody else in."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import access
from components.repository import wanted_commit
from components.sample import sample_repository
from components.unit import Unit
from settings import Settings, SettingsError, address_of
from tests.fakes.release_host import CONF, Tool, commit, git, make_application, needs_root
from tests.git_https import HttpsServer
from tests.git_servers import SshServer, https_server, ssh_server

TOKEN = "github_pat_sentinel$5#x"
Make = Callable[..., Settings]
Units = Callable[[Settings], dict[str, Unit]]


@pytest.mark.parametrize(
    ("repository", "way", "known_name", "deploy_keys"),
    [
        ("git@github.com:itqan/app.git", "ssh", "github.com", "https://github.com/itqan/app/settings/keys"),
        (
            "ssh://git@gitlab.com/group/sub/app.git",
            "ssh",
            "gitlab.com",
            "https://gitlab.com/group/sub/app/-/settings/repository#js-deploy-keys-settings",
        ),
        (
            "git@bitbucket.org:itqan/app.git",
            "ssh",
            "bitbucket.org",
            "https://bitbucket.org/itqan/app/admin/access-keys/",
        ),
        ("ssh://git@git.test:2222/a.git", "ssh", "[git.test]:2222", "the deploy keys of a on git.test"),
        ("ssh://git@git.test:22/a", "ssh", "git.test", "the deploy keys of a on git.test"),
        ("https://git.test:8443/a/b.git", "https", "[git.test]:8443", "the deploy keys of a/b on git.test"),
        ("/srv/git/a.git", "folder", "", "the deploy keys of /srv/git/a.git on "),
        ("sample", "folder", "", "the deploy keys of sample on "),
    ],
)
def test_addresses(repository: str, way: str, known_name: str, deploy_keys: str) -> None:
    made = address_of(repository)
    assert (made.way, made.known_name, made.deploy_keys) == (way, known_name, deploy_keys)


def test_a_host_makes_its_own_key_only_where_none_is_given(stack: Make, units_of: Units) -> None:
    assert access.OWN_KEY_UNIT not in units_of(stack("prod"))
    made = units_of(stack("prod", deployKey=None))[access.OWN_KEY_UNIT]
    assert made.remove is None and made.payload is None
    assert made.output == "cat /home/deploy/.ssh/itqan_own.pub"


def test_a_token_stands_in_its_file_alone(stack: Make, units_of: Units) -> None:
    settings = stack(
        "prod", deployKey=None, repositoryToken=TOKEN, release={"repository": "https://github.com/a/b"}
    )
    units = units_of(settings)
    unit = units.pop("release/token")
    assert unit.payload == f"username=x-access-token\npassword={TOKEN}\n" and unit.secret
    assert "/etc/itqan/repository.token deploy:deploy 600" in unit.expect
    assert [name for name, other in units.items() if TOKEN in f"{other}"] == []
    assert "credential.https://github.com.helper=!answer()" in units["release/checkout"].expect


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The keys that the SSH server lets in."""
    path = tmp_path / "authorized_keys"
    path.touch()
    return path


@pytest.fixture
def ssh(keys: Path) -> Iterator[SshServer]:
    with ssh_server(keys) as server:
        yield server


@pytest.fixture
def https(tmp_path: Path) -> Iterator[HttpsServer]:
    """A server of tmp_path; git on this machine and the tool's trust its certificate."""
    with https_server(tmp_path, f"x-access-token:{TOKEN}") as (server, certificate):
        for at in (tmp_path / "home", tmp_path):
            at.mkdir(exist_ok=True)
            (at / "gitconfig").write_text(f"[http]\n\tsslCAInfo = {certificate}\n")
        yield server


def configured(folder: Path, settings: Settings, **places: str) -> None:
    """The tool's configuration says how the repository of the settings is reached, below `folder`."""
    made = access.variables(settings)
    text = "\n".join(f"{name}={quoted(value)}" for name, value in made.items())
    for place, own in places.items():
        text = text.replace({"ssh": "/home/deploy/.ssh", "token": access.TOKEN_FILE}[place], own)
    lines = CONF.format(folder=folder).splitlines()
    kept = [line for line in lines if not line.startswith(("REPOSITORY=", "SSH_COMMAND="))]
    repository = quoted(settings.release.repository)
    (folder / "etc/release.conf").write_text("\n".join([*kept, f"REPOSITORY={repository}", text]) + "\n")


def quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def over_ssh(stack: Make, ssh: SshServer, tmp_path: Path, **secrets: str | None) -> Settings:
    user = os.environ.get("USER", "root")
    return stack(
        "prod",
        **{"deployKey": None, **secrets},
        release={
            "repository": f"ssh://{user}@127.0.0.1:{ssh.port}{tmp_path}/origin.git",
            "ref": "main",
            "knownHosts": [f"[127.0.0.1]:{ssh.port} {ssh.host_key}"],
        },
    )


@pytest.fixture
def private(tool: Tool, tmp_path: Path, ssh: SshServer, stack: Make) -> Settings:
    """The application's repository, only over SSH, of a host that has no key yet."""
    assert tool("import", f"{tmp_path}/origin.git", "main", stdin=sample_repository().stream).returncode == 0
    settings = over_ssh(stack, ssh, tmp_path)
    configured(tmp_path, settings, ssh=f"{tmp_path}/.ssh")
    return settings


def pin(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / ".ssh/itqan_own_known_hosts").write_text(access.known_hosts(settings))


@needs_root
def test_a_key_is_made_refused_with_the_way_in_and_accepted(
    tool: Tool, tmp_path: Path, private: Settings, keys: Path
) -> None:
    assert tool("key").returncode == 0
    pin(tmp_path, private)
    key, public = tmp_path / ".ssh/itqan_own", (tmp_path / ".ssh/itqan_own.pub").read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert public.startswith("ssh-ed25519 ") and public.endswith(" itqan-prod@srv1147550\n")
    refused = tool("clone")
    assert refused.returncode == 1
    assert (
        f"does not let this host in yet. Enter this public key there, for reading only, and run the same "
        f"again:\n  key:    {public}  where:  the deploy keys of " in refused.stderr
    )
    assert refused.stderr.startswith("itqan: ") and refused.stderr.count("\n") == 3
    keys.write_text(public)
    assert tool("clone").returncode == 0
    assert git(tmp_path / "app", "rev-parse", "origin/main") == sample_repository().commit
    assert tool("key").returncode == 0
    assert (tmp_path / ".ssh/itqan_own.pub").read_text() == public


@needs_root
def test_a_pull_by_hand_uses_the_same_key_and_hosts(
    tool: Tool, tmp_path: Path, private: Settings, keys: Path
) -> None:
    tool("key")
    pin(tmp_path, private)
    keys.write_text((tmp_path / ".ssh/itqan_own.pub").read_text())
    assert tool("clone").returncode == 0
    pulled = subprocess.run(
        ["git", "-C", str(tmp_path / "app"), "pull", "origin", "main"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )
    assert pulled.returncode == 0, pulled.stderr


@needs_root
def test_a_server_that_shows_another_host_key_is_not_asked(
    tool: Tool, tmp_path: Path, private: Settings, keys: Path
) -> None:
    tool("key")
    other = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True
    )
    assert other.returncode == 0
    shown = (tmp_path / "other.pub").read_text().split()[:2]
    name = private.release.known_hosts[0].split()[0]
    (tmp_path / ".ssh/itqan_own_known_hosts").write_text(f"{name} {' '.join(shown)}\n")
    keys.write_text((tmp_path / ".ssh/itqan_own.pub").read_text())
    done = tool("clone")
    assert done.returncode == 1
    assert "its server shows a host key that itqan:release.knownHosts does not have" in done.stderr


@needs_root
@pytest.mark.parametrize("damage", ["truncate -s 40 {key}", "rm {key}", "rm {key}.pub", "echo x >{key}.pub"])
@pytest.mark.usefixtures("private")
def test_a_key_that_a_kill_left_half_goes_aside(tool: Tool, tmp_path: Path, damage: str) -> None:
    key = tmp_path / ".ssh/itqan_own"
    tool("key")
    subprocess.run(["bash", "-c", damage.format(key=key)], check=True)
    assert tool("key").returncode == 0
    shown = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], capture_output=True, text=True, check=True)
    assert key.with_suffix(".pub").read_text().split()[:2] == shown.stdout.split()[:2]


@pytest.fixture
def over_https(tool: Tool, tmp_path: Path, https: HttpsServer, stack: Make) -> Settings:
    """The application's repository, only over HTTPS, of a host that has the token in its file."""
    assert tool("import", f"{tmp_path}/origin.git", "main", stdin=sample_repository().stream).returncode == 0
    release = {"repository": f"{https.url}/origin.git", "ref": "main"}
    settings = stack("prod", deployKey=None, repositoryToken=TOKEN, release=release)
    configured(tmp_path, settings, token=f"{tmp_path}/token")
    (tmp_path / "token").write_text(access.credential(settings))
    script = (tmp_path / "tool").read_text()
    trusted = f"GIT_TERMINAL_PROMPT=0 GIT_SSL_CAINFO={tmp_path}/server.pem "
    (tmp_path / "tool").write_text(script.replace("GIT_TERMINAL_PROMPT=0 ", trusted))
    return settings


@needs_root
def test_a_token_reads_over_https_and_stands_nowhere_else(
    tool: Tool, tmp_path: Path, over_https: Settings
) -> None:
    done = tool("clone")
    assert done.returncode == 0, done.stderr
    assert git(tmp_path / "app", "rev-parse", "origin/main") == sample_repository().commit
    assert tool("clone").returncode == 0
    found = subprocess.run(
        ["grep", "-rlF", TOKEN, str(tmp_path)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert found == [f"{tmp_path}/token"]
    config = git(tmp_path / "app", "config", "--local", "--get-regexp", "^credential").splitlines()
    assert [line.split()[0] for line in config] == [
        "credential.helper",
        f"credential.{address_of(over_https.release.repository).origin}.helper",
    ]
    assert TOKEN not in done.stdout + done.stderr


@needs_root
def test_a_token_that_is_withdrawn_is_told_and_a_new_one_goes_on(
    tool: Tool, tmp_path: Path, over_https: Settings, https: HttpsServer
) -> None:
    https.accepted = "x-access-token:newer"
    done = tool("clone")
    assert done.returncode == 1
    assert "does not accept itqan:repositoryToken (expired, withdrawn, or not for" in done.stderr
    assert (tmp_path / "token").read_text() == access.credential(over_https)
    (tmp_path / "token").write_text("username=x-access-token\npassword=newer\n")
    assert tool("clone").returncode == 0


@needs_root
def test_the_token_is_for_its_server_alone(tool: Tool, tmp_path: Path, over_https: Settings) -> None:
    assert tool("clone").returncode == 0
    asked = subprocess.run(
        ["git", "-C", str(tmp_path / "app"), "credential", "fill"],
        input="protocol=https\nhost=elsewhere.test\n\n",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0"},
    )
    assert TOKEN not in asked.stdout + asked.stderr
    origin = address_of(over_https.release.repository).host
    told = subprocess.run(
        ["git", "-C", str(tmp_path / "app"), "credential", "fill"],
        input=f"protocol=https\nhost={origin}\n\n",
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0"},
    )
    assert f"password={TOKEN}" in told.stdout


class TestThisMachine:
    """`git ls-remote`, which says what a branch's newest commit is."""

    @needs_root
    def test_with_the_token(
        self, over_https: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_SSL_CAINFO", f"{tmp_path}/server.pem")
        assert wanted_commit(over_https) == sample_repository().commit

    @needs_root
    def test_a_token_that_is_not_accepted(
        self, over_https: Settings, https: HttpsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GIT_SSL_CAINFO", f"{tmp_path}/server.pem")
        https.accepted = "x:y"
        with pytest.raises(
            SettingsError, match=r"Authentication failed.*check the URL and the token"
        ) as told:
            wanted_commit(over_https)
        assert TOKEN not in str(told.value)

    @needs_root
    def test_with_the_key_of_whoever_types(
        self, private: Settings, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An agent's key, as nobody's home is touched here."""
        key = tmp_path / "mine"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        socket = tmp_path / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                assert agent.poll() is None
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", str(key)], check=True)
            with pytest.raises(SettingsError, match=r"check the URL and your own key \(`ssh-add -l`\)"):
                wanted_commit(private)
            keys.write_text(key.with_suffix(".pub").read_text())
            assert wanted_commit(private) == sample_repository().commit
        finally:
            agent.terminate()
            agent.wait()


@needs_root
def test_submodules_are_refused_with_their_names(tool: Tool, tmp_path: Path) -> None:
    app = make_application(tool, tmp_path)
    commit(app)
    work = tmp_path / "work"
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},packages/theme")
    git(work, "commit", "-q", "-m", "submodule")
    git(work, "push", "-q", "origin", "HEAD:main")
    wanted = git(work, "rev-parse", "HEAD")
    done = tool("deploy", "main", wanted)
    assert done.returncode == 1
    assert f"commit {wanted} has submodules, which a release does not fetch: packages/theme" in done.stderr
    assert (tmp_path / "calls").read_text() == ""


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n".format("0" * 64)


@needs_root
def test_files_in_lfs_are_refused_with_their_names(tool: Tool, tmp_path: Path) -> None:
    app = make_application(tool, tmp_path)
    files = {"public__img__.gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n"}
    wanted = commit(app, **files, **{"public__img__logo.png": POINTER})
    done = tool("deploy", "main", wanted)
    assert done.returncode == 1
    assert f"commit {wanted} has files in Git LFS, which a release does not fetch: public/img/logo.png;" in (
        done.stderr
    )
    assert (tmp_path / "calls").read_text() == ""


@needs_root
def test_attributes_of_lfs_without_files_in_it_are_nobodys_harm(tool: Tool, tmp_path: Path) -> None:
    app = make_application(tool, tmp_path)
    done = tool("deploy", "main", commit(app, **{".gitattributes": "*.psd filter=lfs\n"}))
    assert done.returncode == 0, done.stderr


def test_the_secret_is_given_by_name() -> None:
    """`init --secrets` and `adopt` know the token by the name of the settings."""
    from operations.init import parsed_secrets

    assert parsed_secrets(json.dumps({"repositoryToken": "x"})) == {"repositoryToken": "x"}
