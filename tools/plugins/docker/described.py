"""The base class of resources that are described by fields: Network, Volume, Container."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from tools.plugins.common.provider import (
    Checked,
    CheckOptions,
    Difference,
    InitFailed,
    ProviderError,
    Resource,
)
from tools.plugins.common.values import UNKNOWN, Properties
from tools.plugins.docker import checking, inputs, planning
from tools.plugins.docker.daemon import Daemon, DockerError, NotFound
from tools.plugins.docker.fields import DEFAULTS, Fields
from tools.plugins.docker.operations import Cancelled, Operation

_IN_USE_SECONDS = 30.0  # how long a delete waits for containers to let go of a network or volume
_POLL_SECONDS = 0.2

# What a resource logs while it works: severity, text.
Log = Callable[[str, str], None]


class CreatedIncomplete(Exception):
    """A create failed when the resource was there already.

    Args:
        resource_id: of the resource.
        text: what went wrong, for the user.
    """

    def __init__(self, resource_id: str, text: str) -> None:
        super().__init__(text)
        self.resource_id = resource_id


class Described(ABC):
    """A resource whose Check and Diff follow from its fields, and whose state is what the daemon tells.

    Args:
        daemon: where the resource is.
    """

    fields: ClassVar[Fields]
    meta: ClassVar[str]  # the official plugin's mark of the state's version
    always_delete_first: ClassVar[bool] = False  # also when the name is generated

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    @abstractmethod
    def make(self, planned: Properties, operation: Operation, log: Log) -> str:
        """Create the resource from its planned state, None where the daemon chooses; return its id.

        Raises:
            DockerError: nothing was made.
            CreatedIncomplete: it was made, but is not as planned.
        """

    @abstractmethod
    def look(self, resource_id: str, known: Properties) -> tuple[str, Properties] | None:
        """Return id and properties as the daemon tells them, None if the resource does not exist.

        Args:
            known: the state so far, for what the daemon does not tell.
        """

    def change(self, resource_id: str, olds: Properties, planned: Properties) -> None:  # noqa: B027
        """Update the resource in place. There is nothing to do where every change replaces it."""

    @abstractmethod
    def remove(self, resource_id: str, state: Properties, operation: Operation) -> None:
        """Remove the resource; it is no error if it does not exist."""

    def remove_when_free(self, remove: Callable[[], Any], busy: str, operation: Operation) -> None:
        """Remove something that containers which are about to go may still use.

        Args:
            remove: the call of the docker library.
            busy: what the daemon's refusal says in that case.
        """
        deadline = time.monotonic() + _IN_USE_SECONDS
        while True:
            try:
                with self.daemon.errors():
                    remove()
            except NotFound:
                return
            except DockerError as error:
                if busy not in str(error) or time.monotonic() > deadline:
                    raise
                operation.sleep(_POLL_SECONDS)
            else:
                return

    def check(self, resource: Resource, olds: Properties, news: Properties, options: CheckOptions) -> Checked:
        """Validate inputs and fill in defaults."""
        return checking.check(self.fields, resource, olds, news, options)

    def diff(self, state: Properties, news: Properties, ignore: list[str]) -> Difference:
        """Compare the state with new inputs."""
        delete_first = self.always_delete_first or "name" not in news.get(DEFAULTS, [])
        return planning.compare(self.fields, state, news, ignore, delete_first)

    def create(
        self, resource: Resource, given: Properties, preview: bool, operation: Operation, log: Log
    ) -> tuple[str, Properties]:
        """Create the resource; return its id and state."""
        expected = planning.planned_creation(self.fields, given)
        if preview:
            return "", {**expected, "id": UNKNOWN}
        planned = {name: None if value is UNKNOWN else value for name, value in expected.items()}
        try:
            resource_id = self.make(planned, operation, log)
            found = self._look_after_make(resource_id, planned)
        except CreatedIncomplete as error:
            raise self._incomplete(f"creating {resource.urn}", error, error.resource_id, planned) from error
        except (DockerError, Cancelled) as error:
            raise ProviderError(one_error(error)) from error
        # A volume that was there already may have other labels; they show at the next read.
        return resource_id, self._state(found[0], {**planned, **found[1], "labels": planned["labels"]})

    def _look_after_make(self, resource_id: str, planned: Properties) -> tuple[str, Properties]:
        try:
            found = self.look(resource_id, planned)
        except DockerError as error:
            raise CreatedIncomplete(resource_id, str(error)) from error
        if found is None:
            raise DockerError(f"{resource_id} disappeared while it was created")
        return found

    def read(
        self, resource: Resource, state: Properties, known_inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """Look at the resource; return id, state and inputs, an empty id if it does not exist."""
        with_zeros = planning.planned_update(self.fields, state, state)
        try:
            found = self.look(resource.id, with_zeros)
        except DockerError as error:
            raise ProviderError(f"refreshing {resource.urn}: {one_error(error)}") from error
        if found is None:
            return "", {}, {}
        read_id, properties = found
        now = self._state(read_id, {**with_zeros, **properties})
        if state:
            return read_id, now, inputs.refreshed(known_inputs, now)
        return read_id, now, inputs.imported(self.fields, now)

    def update(
        self,
        resource: Resource,
        olds: Properties,
        news: Properties,
        preview: bool,
        operation: Operation,
        log: Log,
    ) -> Properties:
        """Update the resource in place; return its state."""
        planned = self._state(resource.id, planning.planned_update(self.fields, olds, news))
        if preview:
            return planned
        try:
            self.change(resource.id, olds, planned)
        except DockerError as error:
            raise self._incomplete(f"updating {resource.urn}", error, resource.id, planned) from error
        return planned

    def delete(self, resource: Resource, state: Properties, operation: Operation) -> None:
        """Remove the resource."""
        try:
            self.remove(resource.id, state, operation)
        except (DockerError, Cancelled) as error:
            raise ProviderError(f"deleting {resource.urn}: {one_error(error)}") from error

    def _state(self, resource_id: str, properties: Properties) -> Properties:
        return {**properties, "id": resource_id, "__meta": self.meta}

    def _incomplete(
        self, doing: str, error: Exception, resource_id: str, properties: Properties
    ) -> InitFailed:
        text = f"{doing}: {one_error(error)}"
        return InitFailed(text, [text], resource_id, self._state(resource_id, properties), {})


def one_error(error: Exception) -> str:
    """Return an error as the official plugin lists one."""
    return f"1 error occurred:\n\t* {error or 'cancelled'}\n\n"
