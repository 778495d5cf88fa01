"""Volume."""

from typing import ClassVar

from tools.plugins.common.values import Properties
from tools.plugins.docker.daemon import NotFound
from tools.plugins.docker.described import Described, Log
from tools.plugins.docker.fields import LABELS, Field, Fields
from tools.plugins.docker.labels import label_list, label_map
from tools.plugins.docker.operations import Operation


class Volume(Described):
    """A named volume."""

    fields: ClassVar[Fields] = {
        "driver": Field(computed=True),
        "driverOpts": Field("map"),
        "labels": Field("set", LABELS),
        "mountpoint": Field(computed=True, output=True),
        "name": Field(computed=True),
    }
    meta = '{"schema_version":"1"}'

    def make(self, planned: Properties, operation: Operation, log: Log) -> str:
        """Create the volume, or take the one of that name."""
        client = self.daemon.client
        with self.daemon.errors("Unable to create volume"):
            made = client.create_volume(
                planned["name"],
                driver=planned["driver"],
                driver_opts=planned["driverOpts"],
                labels=label_map(planned["labels"]),
            )
        return str(made["Name"])

    def look(self, resource_id: str, known: Properties) -> tuple[str, Properties] | None:
        """Return the volume as the daemon tells it."""
        client = self.daemon.client
        try:
            with self.daemon.errors("Unable to inspect volume"):
                found = client.inspect_volume(resource_id)
        except NotFound:
            return None
        return resource_id, {
            "driver": found["Driver"],
            "driverOpts": found["Options"],
            "labels": label_list(found["Labels"]),
            "mountpoint": found["Mountpoint"],
            "name": found["Name"],
        }

    def remove(self, resource_id: str, state: Properties, operation: Operation) -> None:
        """Remove the volume; wait a while for containers that are about to leave it."""
        client = self.daemon.client
        self.remove_when_free(
            lambda: client.remove_volume(resource_id, force=True), "volume is in use", operation
        )
