"""What the stack tells: outputs by name."""

from __future__ import annotations

import pulumi

from settings import address_of

from .access import OWN_KEY_UNIT, makes_own_key
from .connection import Target


def export(target: Target) -> None:
    """The stack's outputs; `ledger` is the stack's own memory, one secret so that it prints as one line."""
    settings, endpoint = target.side.settings, target.side.endpoint
    pulumi.export("url", settings.url)
    pulumi.export("domain", settings.domain)
    if settings.edge:
        pulumi.export("edge", settings.edge)
    if settings.docker_host:
        pulumi.export("dockerHost", settings.docker_host.address)
    pulumi.export("address", str(settings.server_address))
    pulumi.export(
        "ssh",
        {"host": endpoint.host, "port": endpoint.port, "user": endpoint.user, "hostKey": endpoint.host_key},
    )
    pulumi.export("deployUser", settings.server.deploy_user)
    pulumi.export("container", target.container_name)
    pulumi.export("rootCertificate", target.stdout("certificates/root"))
    pulumi.export("release", target.side.commit)
    if makes_own_key(settings):
        place = address_of(settings.release.repository).deploy_keys
        pulumi.export("deployKey", {"publicKey": target.stdout(OWN_KEY_UNIT), "place": place})
    if settings.branch:
        pulumi.export("branch", settings.branch)
    pulumi.export("units", len(target.side.units))
    pulumi.export(
        "ledger",
        pulumi.Output.secret(
            target.entries.apply(lambda entries: {name: entry.to_output() for name, entry in entries.items()})
        ),
    )
