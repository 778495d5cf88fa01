"""The machine made ready: an engine with its plugins, found again in milliseconds by later runs."""

from __future__ import annotations

import os
from pathlib import Path

from .engine import Engine
from .paths import ROOT
from .prepare.home import engine_environment, make_home
from .stamp import Stamp
from .steps import Steps


def ready_engine(steps: Steps) -> Engine:
    """An engine with its plugins, its state and its passphrase.

    Raises PreparationError when this machine cannot have one.
    """
    variables = engine_environment(os.environ)
    stamp = Stamp("machine", _sources())
    facts = stamp.read()
    if facts and Path(facts["engine"]).exists():
        return Engine(Path(facts["engine"]), variables)
    from .prepare.engine import find_engine
    from .prepare.plugins import ensure_plugins

    make_home({**os.environ, **variables})
    engine = Engine(find_engine(steps), variables)
    ensure_plugins(steps, engine.path, engine.environment)
    stamp.write({"engine": str(engine.path)})
    return engine


def _sources() -> list[Path]:
    return [
        ROOT / "requirements.txt",
        *(ROOT / "tools" / "engine").glob("go.*"),
        *(ROOT / "operations" / "prepare").glob("*.py"),
    ]
