"""One hoster, and a stack on its first server, for all tests of this tier; nothing of them is left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.keys import public_key
from settings import SECRETS
from tests.e2e.copy import ROOT, itqan, outputs, pulumi

from .hoster import PLATFORM, Hoster, Server

STACK, TWIN = "vps", "vps-twin"
# What a stack cannot make by itself, in words that are recognised where they must not be.
FURTHER = {
    "mailUsername": "sentinel-mail-user",
    "mailPassword": "sentinel-mail-password",
    "livekitApiKey": "sentinel-livekit-key",
    "livekitApiSecret": "sentinel-livekit-secret",
}
FILE = """# the server of these tests
config:
  itqan:extends: prod
  itqan:platform: {platform}
  itqan:domain: itqan.test
  itqan:server: {{ipv4: {address}, ipv6: null, hostname: vps, minimumDiskGb: 4, minimumMemoryGb: 1}}
  itqan:environment: {{APP_ENV: staging, MAIL_MAILER: log}}
  # the hoster's own authority
  itqan:certificate: {{directory: {directory}, email: admin@itqan.test}}
  itqan:dns: {{provider: rfc2136, server: {registrar}, keyName: itqan., conference: 192.0.2.10}}
  itqan:release: {{repository: sample, ref: main}}
"""


@dataclass(frozen=True)
class Vps:
    """A stack and the server that it is pointed at."""

    stack: str
    server: Server
    hoster: Hoster
    key: Path

    @property
    def file(self) -> Path:
        """The stack's configuration."""
        return ROOT / f"Pulumi.{self.stack}.yaml"

    @property
    def further(self) -> str:
        """The further secrets, as `init --secrets` reads them."""
        return json.dumps({**FURTHER, "tsigSecret": self.hoster.tsig_secret})

    def write_file(self) -> None:
        """The configuration before `init`."""
        self.file.write_text(
            FILE.format(
                platform=PLATFORM,
                address=self.server.address,
                directory=self.hoster.directory,
                registrar=self.hoster.registrar,
            )
        )

    def fingerprint(self) -> str:
        """The host key's, as the provider's console shows it."""
        shown = self.server.bash("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key")
        return shown.split()[1]

    def init(self, *options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`./itqan init` without a terminal."""
        command = [str(ROOT / "itqan"), "init", self.stack, *options]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120
        )

    def init_fully(self) -> subprocess.CompletedProcess[str]:
        """`./itqan init` with all that it needs."""
        place = ["--host", self.server.address, "--user", "root", "--key", str(self.key)]
        return self.init(*place, "--host-key", self.fingerprint(), "--secrets", stdin=self.further)

    def up(self, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`./itqan up`."""
        return itqan("up", "--stack", self.stack, check=check)

    def set(self, key: str, value: str) -> None:
        """Changes the configuration as its owner would."""
        pulumi("config", "set", "--stack", self.stack, "--path", f"itqan:{key}", value)

    def secret(self, name: str) -> str:
        """A secret of the configuration."""
        bundle = pulumi("config", "get", "--stack", self.stack, "itqan:secrets").stdout
        found: str = json.loads(bundle)[name]
        return found

    def audit(self) -> dict[str, Any]:
        """`./itqan audit` as data."""
        found: dict[str, Any] = json.loads(itqan("audit", self.stack, "--json", check=False).stdout)
        return found

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return outputs(self.stack)

    def forget(self) -> None:
        """The stack's state and configuration; its server goes with the hoster."""
        pulumi("stack", "rm", "--yes", "--force", "--preserve-config", "--stack", self.stack, check=False)
        self.file.unlink(missing_ok=True)
        for stamp in ("stack", "state"):
            (ROOT / ".itqan/stamps" / f"{stamp}-{self.stack}.json").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private key that logs in."""
    make = SECRETS["sshPrivateKey"].generate
    assert make
    file = tmp_path_factory.mktemp("login") / "id_ed25519"
    file.write_text(make())
    file.chmod(0o600)  # ssh takes no key that others can read
    assert public_key(file.read_text())
    return file


@pytest.fixture(scope="session")
def hoster(key: Path) -> Iterator[Hoster]:
    """A network with a registrar; its servers are gone at the end."""
    made = Hoster(key.read_text())
    yield made
    made.remove()


@contextmanager
def pointed_at(stack: str, server: Server, hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A stack's file, before `init`, for a server; the stack is forgotten at the end."""
    made = Vps(stack, server, hoster, key)
    made.forget()
    made.write_file()
    yield made
    made.forget()


@pytest.fixture(scope="session")
def vps(hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A stack's file and a server that nothing was done to."""
    with pointed_at(STACK, hoster.server(), hoster, key) as made:
        yield made


@pytest.fixture(scope="session")
def twin(hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A second server for the same configuration."""
    with pointed_at(TWIN, hoster.server(), hoster, key) as made:
        yield made
