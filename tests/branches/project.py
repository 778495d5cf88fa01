"""A repository with branches, and checkouts of this project, each a machine of its own."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from operations.lanes import export

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "files" / "sample-app"
# What a checkout would make for itself, and that costs minutes.
SHARED = ("venv", "engine", "pulumi")
# What shows a checkout which backend and passphrase it has, if it has not its own.
BACKEND = (
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS",
)


@dataclass(frozen=True)
class Repository:
    """A bare repository, and a checkout of it to push from."""

    bare: Path
    work: Path

    @classmethod
    def of_sample(cls, folder: Path) -> Repository:
        """The sample application, on the branch main."""
        bare, work = folder / "repository.git", folder / "work"
        shutil.copytree(SAMPLE, work, ignore=shutil.ignore_patterns("vendor", "node_modules"))
        made = cls(bare, work)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        made.git("init", "-q", "-b", "main")
        made.git("remote", "add", "origin", str(bare))
        made.commit("The sample application")
        made.git("push", "-q", "origin", "main")
        return made

    def git(self, *arguments: str) -> str:
        """git's answer in the checkout."""
        identity = ["-c", "user.name=Tests", "-c", "user.email=tests@localhost"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=self.work, capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(self, message: str) -> str:
        """Everything that is in the checkout as a commit. Returns its id."""
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str, text: str) -> str:
        """Pushes a branch with a page that shows a text. Returns the commit."""
        self.git("checkout", "-q", "-B", branch, f"origin/{branch}" if self.has(branch) else "main")
        page = self.work / "resources/views/home.blade.php"
        page.write_text(f"{page.read_text()}\n<!-- {text} -->\n")
        commit = self.commit(text)
        self.git("push", "-q", "origin", branch)
        return commit

    def has(self, branch: str) -> bool:
        """Whether the branch was pushed."""
        return bool(self.git("ls-remote", "origin", f"refs/heads/{branch}"))

    def remove(self, branch: str) -> None:
        """The branch leaves the repository."""
        self.git("push", "-q", "origin", "--delete", branch)


@dataclass(frozen=True)
class Checkout:
    """A checkout of this project with a command line of its own."""

    folder: Path
    variables: Mapping[str, str]

    @classmethod
    def make(cls, folder: Path, repository: Repository, backend_of: Checkout | None = None) -> Checkout:
        """The working tree as it is now, whose copies take their release from a repository.

        Arguments: `backend_of`, a checkout whose state, passphrase and Pulumi.staging.yaml it has, as a
        pipeline's runner has them.
        """
        if backend_of is None:
            folder.mkdir()
            export(folder)
        else:
            shutil.copytree(backend_of.folder, folder, ignore=shutil.ignore_patterns(".itqan", "__pycache__"))
        (folder / ".itqan").mkdir()
        for name in SHARED:
            (folder / ".itqan" / name).symlink_to(ROOT / ".itqan" / name)
        if backend_of is None:
            made = cls(folder, {})
            made.configure("release", {"repository": str(repository.bare), "ref": "main"})
            # The sample application's framework is not one of its own files on this platform.
            made.configure("furtherPackages", ["php-laravel-framework"])
            return made
        printed = backend_of.shell('eval "$(./itqan env)"; env -0').stdout.split("\0")
        return cls(
            folder,
            {name: value for name, _, value in (line.partition("=") for line in printed) if name in BACKEND},
        )

    def configure(self, key: str, value: object) -> None:
        """A whole value of Pulumi.staging.yaml, before there is any copy; what it has for the key goes."""
        file = self.folder / "Pulumi.staging.yaml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith(f"  itqan:{key}:")]
        lines.insert(lines.index("config:") + 1, f"  itqan:{key}: {json.dumps(value)}")
        file.write_text("\n".join(lines) + "\n")

    def set(self, path: str, value: str) -> None:
        """A value of Pulumi.staging.yaml by its path, as the copies of branches are told to have it set."""
        stack = next(iter(self.copies().values()))["stack"]
        options = f"--config-file Pulumi.staging.yaml --stack {stack} --path"
        self.shell(f'eval "$(./itqan env)"; pulumi config set {options} itqan:{path} {shlex.quote(value)}')

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        return {**own, **self.variables}

    def shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs bash in the checkout."""
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `./itqan`, in a process group of its own."""
        return subprocess.Popen(
            [str(self.folder / "itqan"), *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def itqan(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """`./itqan` as a user types it, which has to end with a status. Returns what it printed, and said."""
        return finished(self.start(*arguments), status)

    def copies(self) -> dict[str, dict[str, Any]]:
        """What `branch list` tells, by branch."""
        listed, _ = self.itqan("branch", "list", "--json")
        return {row["branch"]: row for row in json.loads(listed)}

    def outputs(self, stack: str) -> dict[str, Any]:
        """A stack's outputs."""
        found: dict[str, Any] = json.loads(self.itqan("outputs", "--json", "--stack", stack)[0])
        return found


def finished(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    """What a command printed and said, once it has ended with a status."""
    printed, said = process.communicate(timeout=900)
    assert process.returncode == status, f"{process.args!r}\n{printed}\n{said}"
    return printed, said


def page(outputs: Mapping[str, Any], folder: Path) -> str:
    """The page of a copy, over HTTPS that is verified against the copy's own authority."""
    root = folder / f"{outputs['domain']}.pem"
    root.write_text(outputs["rootCertificate"])
    name = outputs["domain"]
    with urllib3.HTTPSConnectionPool(
        outputs["address"], 443, ca_certs=str(root), server_hostname=name, assert_hostname=name, timeout=15
    ) as pool:
        answer = pool.request("GET", "/", headers={"Host": name}, redirect=False, retries=False)
    assert answer.status == 200, answer.data
    return answer.data.decode()


def inside(outputs: Mapping[str, Any], script: str) -> str:
    """Standard output of bash as root in a copy's server."""
    return subprocess.run(
        ["docker", "exec", "-i", outputs["container"], "bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def docker_names(label: str) -> list[str]:
    """Containers, networks and volumes that carry a label."""
    listings = (
        ["ps", "-a", "--format", "{{.Names}}"],
        ["network", "ls", "--format", "{{.Name}}"],
        ["volume", "ls", "--format", "{{.Name}}"],
    )
    return [
        name
        for listing in listings
        for name in subprocess.run(
            ["docker", *listing, "--filter", f"label={label}"], capture_output=True, text=True, check=True
        ).stdout.split()
    ]
