"""Container: create, start, wait, update, delete."""

import time
from typing import Any

from tools.plugins.common.values import Properties
from tools.plugins.docker import container_request, container_state
from tools.plugins.docker.container_fields import CONTAINER
from tools.plugins.docker.daemon import DockerError, NotFound
from tools.plugins.docker.described import CreatedIncomplete, Described, Log
from tools.plugins.docker.images import find_or_pull
from tools.plugins.docker.operations import Cancelled, Operation

_POLL_SECONDS = 0.1
_UPDATED = ("restart", "maxRetryCount", "cpuShares", "cpuSet", "memory", "memoryReservation", "memorySwap")
_TIMEOUTS = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"  # the key of the timeouts in Terraform's states


class Container(Described):
    """A container."""

    fields = CONTAINER
    meta = (
        f'{{"{_TIMEOUTS}":{{"create":1200000000000,"delete":1200000000000,"update":1200000000000}},'
        '"schema_version":"2"}'
    )
    always_delete_first = True

    def make(self, planned: Properties, operation: Operation, log: Log) -> str:
        """Create the container, put its files in, start it, wait for it."""
        client = self.daemon.client
        image = planned["image"]
        try:
            find_or_pull(self.daemon, image, planned["platform"], operation, log)
        except DockerError as error:
            raise DockerError(f"Unable to create container with image {image}: {error}") from error
        with self.daemon.errors("Unable to create container"):
            made = client.create_container_from_config(
                container_request.creation(planned), planned["name"], planned["platform"]
            )
        resource_id = str(made["Id"])
        try:
            self._bring_up(resource_id, planned, operation, log)
        except (DockerError, Cancelled) as error:
            raise CreatedIncomplete(resource_id, str(error) or "cancelled") from error
        return resource_id

    def _bring_up(self, resource_id: str, planned: Properties, operation: Operation, log: Log) -> None:
        client = self.daemon.client
        for network in planned["networksAdvanced"][1:]:
            with self.daemon.errors(f"Unable to connect to network '{network['name']}'"):
                self._connect(resource_id, network)
        if planned["uploads"]:
            archive = container_request.upload_archive(planned["uploads"])
            with self.daemon.errors("Unable to upload volume content"):
                client.put_archive(resource_id, "/", archive)
        if not planned["start"]:
            return
        with self.daemon.errors("Unable to start container"):
            client.start(resource_id)
        if planned["wait"]:
            self._wait_healthy(resource_id, planned, operation)
        if planned["attach"]:
            self._wait_ended(resource_id, operation)
        elif planned["mustRun"]:
            self._warn_if_ended(resource_id, planned, log)

    def _connect(self, resource_id: str, network: Properties) -> None:
        settings = container_request.endpoint(network)
        addresses = settings.get("IPAMConfig", {})
        self.daemon.client.connect_container_to_network(
            resource_id,
            network["name"],
            aliases=settings.get("Aliases"),
            ipv4_address=addresses.get("IPv4Address"),
            ipv6_address=addresses.get("IPv6Address"),
            link_local_ips=addresses.get("LinkLocalIPs"),
            driver_opt=settings.get("DriverOpts"),
            mac_address=settings.get("MacAddress"),
        )

    def _wait_healthy(self, resource_id: str, planned: Properties, operation: Operation) -> None:
        deadline = time.monotonic() + planned["waitTimeout"]
        while True:
            health = self._inspect(resource_id)["State"].get("Health")
            if health is None:
                raise DockerError(
                    "you have supplied a 'wait' argument, but the container does not have a "
                    "healthcheck defined. Please remove the 'wait' argument or add a "
                    "'healthcheck' attribute"
                )
            if health["Status"] == "healthy":
                return
            if health["Status"] != "starting" or time.monotonic() > deadline:
                raise DockerError("container failed to be in healthy state")
            operation.sleep(_POLL_SECONDS)

    def _wait_ended(self, resource_id: str, operation: Operation) -> None:
        while self._inspect(resource_id)["State"]["Running"]:
            operation.sleep(_POLL_SECONDS)

    def _warn_if_ended(self, resource_id: str, planned: Properties, log: Log) -> None:
        state = self._inspect(resource_id)["State"]
        if not state["Running"]:
            name = planned["name"]
            log(
                "warning",
                f"the container {name} has ended with status {state['ExitCode']}, but must run; "
                f"`docker logs {name}` shows what it said",
            )

    def _inspect(self, resource_id: str) -> dict[str, Any]:
        with self.daemon.errors():
            found: dict[str, Any] = self.daemon.client.inspect_container(resource_id)
        return found

    def look(self, resource_id: str, known: Properties) -> tuple[str, Properties] | None:
        """Return the container as the daemon tells it."""
        try:
            found = self._inspect(resource_id)
        except NotFound:
            return None
        told = container_state.properties(found, known)
        if known.get("attach") and known.get("logs") and not found["State"]["Running"]:
            with self.daemon.errors():
                told["containerLogs"] = self.daemon.client.logs(resource_id).decode(errors="replace")
        return found["Id"], told

    def change(self, resource_id: str, olds: Properties, planned: Properties) -> None:
        """Set limits and restart policy anew, and start a container that has to run but does not."""
        client = self.daemon.client
        if any((olds.get(name) or 0) != (planned[name] or 0) for name in _UPDATED):
            limits, policy = container_request.limits(planned), container_request.restart_policy(planned)
            with self.daemon.errors("Unable to update a container"):
                client.update_container(
                    resource_id,
                    cpu_shares=limits["CpuShares"],
                    cpuset_cpus=limits["CpusetCpus"],
                    mem_limit=limits["Memory"],
                    mem_reservation=limits["MemoryReservation"],
                    memswap_limit=limits["MemorySwap"],
                    restart_policy=policy,
                )
        has_to_run = planned["mustRun"] and not olds.get("mustRun")
        if has_to_run and not self._inspect(resource_id)["State"]["Running"]:
            with self.daemon.errors("Unable to start container"):
                client.start(resource_id)

    def remove(self, resource_id: str, state: Properties, operation: Operation) -> None:
        """Stop the container if it has time for that, and remove it."""
        client = self.daemon.client
        grace = state.get("destroyGraceSeconds") or 0
        try:
            if grace > 0 and not state.get("attach"):
                with self.daemon.errors(f"Error stopping container {resource_id}"):
                    client.stop(resource_id, timeout=grace)
            with self.daemon.errors(f"Error deleting container {resource_id}"):
                client.remove_container(resource_id, v=bool(state.get("removeVolumes")), force=True)
        except NotFound:
            return
        except DockerError as error:
            # A container that removes itself when it stops; it is gone in a moment.
            if "is already in progress" not in str(error):
                raise
        while self.look(resource_id, state):
            operation.sleep(_POLL_SECONDS)
