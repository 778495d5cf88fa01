"""Network."""

from typing import Any, ClassVar

from tools.plugins.common.values import Properties
from tools.plugins.docker.daemon import NotFound
from tools.plugins.docker.described import Described, Log
from tools.plugins.docker.fields import LABELS, Field, Fields
from tools.plugins.docker.labels import label_list, label_map
from tools.plugins.docker.operations import Operation

_IPAM_CONFIG: Fields = {
    "auxAddress": Field("map"),
    "gateway": Field(),
    "ipRange": Field(),
    "subnet": Field(),
}


class Network(Described):
    """A network, bridge or other."""

    fields: ClassVar[Fields] = {
        "attachable": Field("bool"),
        "driver": Field(computed=True),
        "ingress": Field("bool"),
        "internal": Field("bool", computed=True),
        "ipamConfigs": Field("set", _IPAM_CONFIG, computed=True, argument="ipam_config"),
        "ipamDriver": Field(default="default"),
        "ipamOptions": Field("map", computed=True),
        "ipv6": Field("bool"),
        "labels": Field("set", LABELS),
        "name": Field(required=True),
        "options": Field("map", computed=True),
        "scope": Field(computed=True, output=True),
    }
    meta = '{"schema_version":"1"}'

    def make(self, planned: Properties, operation: Operation, log: Log) -> str:
        """Create the network."""
        client = self.daemon.client
        ipam = {
            "Driver": planned["ipamDriver"],
            "Config": [_ipam_request(config) for config in planned["ipamConfigs"] or []],
            "Options": planned["ipamOptions"],
        }
        with self.daemon.errors("Unable to create network"):
            made = client.create_network(
                planned["name"],
                driver=planned["driver"],
                options=planned["options"],
                ipam=ipam,
                check_duplicate=True,
                internal=bool(planned["internal"]),
                ingress=planned["ingress"],
                labels=label_map(planned["labels"]),
                enable_ipv6=bool(planned["ipv6"]),
                attachable=planned["attachable"],
            )
        return str(made["Id"])

    def look(self, resource_id: str, known: Properties) -> tuple[str, Properties] | None:
        """Return the network as the daemon tells it."""
        client = self.daemon.client
        try:
            with self.daemon.errors():
                found = client.inspect_network(resource_id)
        except NotFound:
            return None
        ipam = found["IPAM"]
        return resource_id, {
            "attachable": found["Attachable"],
            "driver": found["Driver"],
            "ingress": found["Ingress"],
            "internal": found["Internal"],
            "ipamConfigs": [_ipam_state(config) for config in ipam["Config"] or []],
            "ipamDriver": ipam["Driver"],
            "ipv6": found["EnableIPv6"],
            "labels": label_list(found["Labels"]),
            "name": found["Name"],
            "options": found["Options"] or {},
            "scope": found["Scope"],
        }

    def remove(self, resource_id: str, state: Properties, operation: Operation) -> None:
        """Remove the network; wait a while for containers that are about to leave it."""
        client = self.daemon.client
        self.remove_when_free(lambda: client.remove_network(resource_id), "has active endpoints", operation)


def _ipam_request(config: Properties) -> dict[str, Any]:
    request = {
        "Subnet": config["subnet"],
        "IPRange": config["ipRange"],
        "Gateway": config["gateway"],
        "AuxiliaryAddresses": config["auxAddress"],
    }
    return {name: value for name, value in request.items() if value}


def _ipam_state(config: dict[str, Any]) -> Properties:
    return {
        "auxAddress": config.get("AuxiliaryAddresses"),
        "gateway": config.get("Gateway", ""),
        "ipRange": config.get("IPRange", ""),
        "subnet": config.get("Subnet", ""),
    }
