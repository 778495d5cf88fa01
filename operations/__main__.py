"""Entry of the command line; `itqan` runs it with the project's own Python."""

import gc
import os
import sys
from pathlib import Path


def run() -> None:
    """Runs the command line and ends the process with its exit status."""
    # Imports make a hundred thousand objects that stay; looking through them for garbage again and again
    # is a tenth of the computing of a run with nothing to do.
    gc.set_threshold(200_000, 50, 50)
    # Python runs isolated from the user's environment, so the checkout is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from operations.cli import main

    status = main()
    if tunnels := sys.modules.get("operations.tunnel"):
        tunnels.close_tunnels()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: it would wait for the threads of the language server, which nobody needs any more.
    os._exit(status)


if __name__ == "__main__":
    run()
