"""Entry of the command line; `itqan` runs it with the project's own Python."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from operations.cli import main

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: it would wait for the threads of the language server, which nobody needs any more.
    os._exit(status)
