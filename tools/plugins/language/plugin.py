"""Entry file of the Python language host."""

import sys
from pathlib import Path


def main() -> None:
    """Serve the language host until the engine ends it."""
    # In place of this folder, whose module names would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[3])
    from tools.plugins.common.server import engine_address, serve
    from tools.plugins.language.host import LanguageHost, register

    host = LanguageHost(engine_address())
    serve(lambda server: register(host, server), host.stop)


if __name__ == "__main__":
    main()
