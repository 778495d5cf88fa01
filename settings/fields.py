"""Types of single values; each says what is allowed."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr


def text(pattern: str, allowed: str, default: Any = ...) -> Any:
    """A string field that matches `pattern` as a whole; `allowed` is shown when it does not."""
    return Field(default, pattern=f"^(?:{pattern})$", max_length=8192, description=allowed)


LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
Domain = Annotated[str, text(rf"(?:{LABEL}\.)+{LABEL}", "a domain name in lower case, such as itqanway.com")]
KeyName = Annotated[str, text(r"[A-Za-z0-9][A-Za-z0-9.-]*", "the name of a TSIG key")]
Hostname = Annotated[str, text(LABEL, "one label: lower case letters, digits, dashes, at most 63")]
AccountName = Annotated[str, text(r"[a-z_][a-z0-9_-]{0,31}", "a Unix account name")]
SqlName = Annotated[
    str, text(r"[A-Za-z][A-Za-z0-9_]{0,31}", "letters, digits, underscores, at most 32, a letter first")
]
AbsolutePath = Annotated[
    str, text(r"(?:/[A-Za-z0-9._-]+)+", "an absolute path of letters, digits, dots, dashes")
]
RelativePath = Annotated[
    str, text(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9._-]+)*", "a path below the application")
]
Mode = Annotated[str, text(r"[0-7]{3,4}", 'an octal mode in quotes, such as "755"')]
Owner = Annotated[str, text(r"[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*", "owner:group, such as deploy:www-data")]
Version = Annotated[str, text(r"\d+(?:\.\d+)*", 'a version in quotes, such as "8.4"')]
IniSize = Annotated[str, text(r"-1|\d+[KMG]", "a size of php.ini in quotes, such as 128M, or -1")]
HttpsUrl = Annotated[str, text(r"https://[^\s/]+(?:/\S*)?", "a URL that starts with https://")]
HeaderValue = Annotated[
    str, text(r'[^\x00-\x1f\x7f"\\$]*', 'one line of text without ", \\ and $, which nginx would interpret')
]
HeaderName = Annotated[str, text(r"[A-Za-z0-9-]+", "a header name")]
FileName = Annotated[str, text(r"[A-Za-z0-9._-]+\.conf", "a file name that ends in .conf")]
# git-check-ref-format(1), as far as single characters go; the repository itself says which names there are.
GIT_NAME = r"[^\x00-\x20\x7f~^:?*\[\\/-][^\x00-\x20\x7f~^:?*\[\\]{0,199}"
GitRef = Annotated[str, text(GIT_NAME, "a branch, a tag or a commit")]
BRANCH = "the name of a git branch"
BranchName = Annotated[str, text(GIT_NAME, BRANCH)]
PUBLIC_KEY = r"(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/=]+(?: \S+)?"
HostKey = Annotated[
    str, text(PUBLIC_KEY, "a public host key, ed25519 or ECDSA (an RSA key fails in Pulumi's plugin)")
]
LoginKey = Annotated[
    str, text(PUBLIC_KEY, "a public SSH key, ed25519 or ECDSA, as in a file that ends in .pub")
]
Email = Annotated[str, text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
SingleLine = Annotated[str, text(r"[^\x00-\x1f\x7f]*", "one line of text")]
Command = Annotated[
    str,
    text(
        r"(?:php|node|bash)\b[^\x00-\x1f\x7f;]*", "a command that starts with php, node or bash, on one line"
    ),
]
DURATION = "minutes, hours, days or weeks, such as 12h or 7d"
Duration = Annotated[str, text(r"[1-9][0-9]{0,3}[mhdw]", DURATION)]
DUMP = "an absolute path of this machine or an https:// address, which ends in .sql, .sql.gz or .sql.zst"
Dump = Annotated[str, text(r"(?:/[^\x00-\x1f\x7f]+|https://[^\s?#]+)\.sql(?:\.gz|\.zst)?(?:\?\S*)?", DUMP)]
DOCKER_ADDRESS = "ssh://USER@HOST or ssh://USER@HOST:PORT"


def _port_of(address: str) -> str:
    port = re.search(r":(\d+)$", address.removeprefix("ssh:"))
    if port and not 1 <= int(port[1]) <= 65535:
        raise ValueError(f"{address!r}: allowed: a port from 1 to 65535")
    return address


DockerAddress = Annotated[
    str,
    text(r"ssh://[a-z_][a-z0-9_-]{0,31}@[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{1,5})?", DOCKER_ADDRESS),
    AfterValidator(_port_of),
]
PackageName = Annotated[str, text(r"[a-z0-9][a-z0-9+.-]+", "the name of a package of the distribution")]
Port = Annotated[int, Field(ge=1, le=65535, description="a port, 1 to 65535")]


def _address_and_port(listener: str) -> str:
    address, _, port = listener.rpartition(":")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"{listener!r}: allowed: a port from 1 to 65535")
    IPv4Address(address)
    return listener


Listener = Annotated[
    str,
    text(r"\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}", "an IPv4 address and a port, such as 127.0.0.1:8443"),
    AfterValidator(_address_and_port),
]
EnvironmentName = Annotated[str, text(r"[A-Z][A-Z0-9_]*", "a variable name in capitals")]
StackId = Annotated[
    str, text(r"[a-z][a-z0-9-]{3,63}", "a word of 4 to 64 lower case letters, digits, dashes, a letter first")
]
SecretValue = Annotated[SecretStr, Field(min_length=1, description="a secret that is not empty")]


def _header_safe(token: SecretStr) -> SecretStr:
    """A token travels in an HTTP header."""
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise ValueError("(secret): allowed: a token without blanks, as the provider shows it")
    return token


Token = Annotated[SecretValue, AfterValidator(_header_safe)]


def _whole_lines(key: SecretStr) -> SecretStr:
    """`pulumi config set` takes the last newline away, and OpenSSH refuses a key file without it."""
    return SecretStr(key.get_secret_value().rstrip("\n") + "\n")


# What audit tells of beyond the units, by name (components/surroundings.py).
Surroundings = Literal[
    "logins",
    "keys",
    "sudo",
    "crontabs",
    "files",
    "sockets",
    "units",
    "database",
    "packages",
    "enabled",
    "php",
    "variables",
    "redis",
    "sshd",
    "system",
]

PrivateKey = Annotated[SecretValue, AfterValidator(_whole_lines)]
