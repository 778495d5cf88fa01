"""Runs a Pulumi program. Started by the language host under the program's own interpreter.

Standard input is one JSON object: project, stack, organization, root_directory, pwd, program, args,
config, config_secret_keys, dry_run, parallel, monitor, engine. Nothing of it stands in the arguments
or the environment, where other users of the machine could read secrets of the configuration.
The exit status is 0, 32 (failed, and the engine has been told why) or anything else (failed).
"""

import asyncio
import json
import logging
import os
import runpy
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

REPORTED = 32  # the same in process.py: this file imports nothing of the host's
_THREADS_PER_OPERATION = 4  # as the official language host

# The engine interrupts the whole group when it is done with the program: nobody wants its traceback then.
signal.signal(signal.SIGINT, signal.SIG_DFL)
# This folder must not be searched for the program's imports.
sys.path.pop(0)

try:
    import pulumi
    import pulumi.runtime
except ImportError as error:
    _import_error: ImportError | None = error
else:
    _import_error = None


def main() -> int:
    """Read the request, run the program, return the exit status."""
    text = sys.stdin.read()
    if not text:
        return 0  # the host ended before there was anything to run
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    if _import_error is not None:
        print(
            f"{_import_error}\nThe Pulumi SDK is not installed for {sys.executable}. "
            "Name it in requirements.txt and type: pulumi install",
            file=sys.stderr,
        )
        return 1
    request = json.loads(text)
    pulumi.runtime.set_all_config(request["config"], request["config_secret_keys"])
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=request["project"],
            stack=request["stack"],
            organization=request["organization"],
            root_directory=request["root_directory"],
            parallel=request["parallel"],
            dry_run=request["dry_run"],
            monitor=request["monitor"],
            engine=request["engine"],
        )
    )
    os.chdir(request["pwd"])
    program = Path(request["program"])
    sys.argv = [str(program), *request["args"]]
    return _run(program, request["parallel"])


def _run(program: Path, parallel: int) -> int:
    # Of a program that fails, tasks stay behind that nobody waits for; asyncio would list each one.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max(parallel, 1) * _THREADS_PER_OPERATION)
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _load(program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return REPORTED
    except Exception as error:  # noqa: BLE001  (the program's own, whatever it is)
        pulumi.log.error("Program failed with an unhandled exception:\n" + _user_traceback(error, program))
        return REPORTED
    finally:
        executor.shutdown()
        loop.close()
    return 0


def _load(program: Path) -> None:
    folder = program if program.is_dir() else program.parent
    if folder == program and not (program / "__main__.py").exists():
        raise pulumi.RunError(f"unable to find main python program `__main__.py` in `{program}`")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    runpy.run_path(str(program), run_name="__main__")


def _user_traceback(error: BaseException, program: Path) -> str:
    """Return the traceback from the program's first own frame on; all of it if there is none."""
    folder = program if program.is_dir() else program.parent
    frames: TracebackType | None = error.__traceback__
    while frames is not None and folder not in Path(frames.tb_frame.f_code.co_filename).parents:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames or error.__traceback__))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
