"""The images that containers are made of: found on the daemon, or pulled."""

from tools.plugins.docker.daemon import Daemon, DockerError, NotFound
from tools.plugins.docker.described import Log
from tools.plugins.docker.operations import Operation


def find_or_pull(daemon: Daemon, image: str, platform: str | None, operation: Operation, log: Log) -> None:
    """See that the daemon has an image.

    Raises:
        DockerError: it has not, and cannot get it.
    """
    client = daemon.client
    doing = f'findImage1: error looking up local image "{image}": unable to inspect image {image}'
    try:
        with daemon.errors(doing):
            client.inspect_image(image)
    except NotFound as error:
        # Also a name that cannot be one is "not found".
        if "invalid reference format" in str(error):
            raise
        _pull(daemon, image, platform, operation, log)


def _pull(daemon: Daemon, image: str, platform: str | None, operation: Operation, log: Log) -> None:
    log("info", f"Pulling {image}")
    doing = f"unable to pull image {image}: error pulling image {image}"
    with daemon.errors(doing):
        for message in daemon.client.pull(image, platform=platform, stream=True, decode=True):
            operation.check()
            if "error" in message:
                raise DockerError(f"{doing}: {message['error']}")
            log("info", " ".join(filter(None, [message.get("id"), message.get("status")])))
