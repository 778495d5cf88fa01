"""Entry file of the `command` plugin."""

import sys
from pathlib import Path


def main() -> None:
    """Serve the plugin until the engine ends it."""
    # In place of this folder, whose module names would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[3])
    from tools.plugins.command.provider import CommandProvider
    from tools.plugins.common.server import serve_provider

    serve_provider(CommandProvider)


if __name__ == "__main__":
    main()
