"""What `init` asks; apart from it, as the command line reads this in every run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """Something that `init` asks: the option that answers it, the key of the configuration, what it is."""

    option: str
    key: str
    text: str


QUESTIONS = (
    Question("host", "connection.host", "name or address that SSH reaches the host by"),
    Question("port", "connection.port", "port of its SSH server"),
    Question("user", "connection.user", "who logs in: root on a bare host, else a user with sudo"),
    Question("domain", "domain", "domain of the site"),
    Question("ipv4", "server.ipv4", "IPv4 address that the domain's records point to"),
    Question("email", "certificate.email", "address of the certificate's account"),
    Question("repository", "release.repository", "git URL of the application"),
    Question(
        "dns-provider",
        "dns.provider",
        "who changes the zone: rfc2136 or hostinger (this stack), manual (you)",
    ),
    Question("dns-server", "dns.server", "rfc2136: IPv4 address of the zone's primary"),
    Question("dns-key", "dns.keyName", "rfc2136: name of the TSIG key"),
)
# Asked for only with this provider.
OF_RFC2136 = ("dns-server", "dns-key")
