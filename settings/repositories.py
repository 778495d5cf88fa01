"""Addresses of git repositories: how they are reached, and what their server's pages are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# Where git servers publish their host keys.
HOST_KEYS = {
    "github.com": "https://api.github.com/meta (ssh_keys)",
    "gitlab.com": "https://docs.gitlab.com/user/gitlab_com/#ssh-known_hosts-entries",
    "bitbucket.org": "https://bitbucket.org/site/ssh",
}
# The page of a repository that takes a key which only reads it.
DEPLOY_KEYS = {
    "github.com": "https://github.com/{path}/settings/keys",
    "gitlab.com": "https://gitlab.com/{path}/-/settings/repository#js-deploy-keys-settings",
    "bitbucket.org": "https://bitbucket.org/{path}/admin/access-keys/",
}


@dataclass(frozen=True)
class Address:
    """A repository's address, taken apart.

    way   how git reaches it
    host  the server, with its port where it is another one than the protocol's; empty for a folder
    path  what follows, without slashes around it and without `.git`
    """

    way: Literal["ssh", "https", "folder"]
    host: str
    path: str

    @property
    def server(self) -> str:
        """The server without its port."""
        return self.host.partition(":")[0]

    @property
    def known_name(self) -> str:
        """The server as known_hosts has it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""
        name, _, port = self.host.partition(":")
        return f"[{name}]:{port}" if port else name

    @property
    def origin(self) -> str:
        """What git asks credentials for: scheme, server and port (gitcredentials(7))."""
        return f"https://{self.host}"

    @property
    def deploy_keys(self) -> str:
        """Where a key that reads the repository is entered: a page, else in words."""
        page = DEPLOY_KEYS.get(self.server)
        return page.format(path=self.path) if page else f"the deploy keys of {self.path} on {self.server}"

    @property
    def host_keys(self) -> str:
        """How the server's own keys are had, in words; they are never taken from the network unseen."""
        published = HOST_KEYS.get(self.server)
        if published:
            return f"{self.server} publishes them at {published}"
        port = self.host.partition(":")[2]
        scan = f"ssh-keyscan {f'-p {port} ' if port else ''}{self.server}"
        return f"`{scan}` shows them, to be compared with what its owner says"


def address_of(repository: str) -> Address:
    """A repository's address (git-clone(1), "GIT URLS"); `sample` and paths are folders."""
    if url := re.fullmatch(r"(ssh|https)://(?:[^@/]*@)?([^/]+)(.*)", repository):
        way: Literal["ssh", "https"] = "ssh" if url[1] == "ssh" else "https"
        host = url[2].removesuffix(":22" if way == "ssh" else ":443")
        return Address(way, host, _path(url[3]))
    if short := re.fullmatch(r"(?:[^@/:]+@)([^:/]+):(.+)", repository):
        return Address("ssh", short[1], _path(short[2]))
    return Address("folder", "", repository)


def _path(path: str) -> str:
    return path.strip("/").removesuffix(".git")
