"""Which backup goes where: copies take anonymous data, servers nothing of anybody else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.render import host_script
from operations.backups import Backup
from operations.data.bring import rules_file
from operations.errors import OperationError
from operations.restore import _require_fitting
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def backup_of(settings: Settings) -> Backup:
    return Backup({"name": "backup_20261129T120000Z_0123456789ab", "owner": settings.owner}, True, False)


def test_a_server_does_not_take_the_backup_of_a_copy(prod: Settings, staging: Settings) -> None:
    chosen = backup_of(staging)
    with pytest.raises(OperationError, match="is a server; only a copy on Docker takes"):
        _require_fitting(chosen, staging, prod)
    with pytest.raises(OperationError, match=r"is of itqan/staging copy, and this .* not restored"):
        _require_fitting(chosen, prod, prod)


def test_rules_stand_beside_the_settings(stack: Callable[..., Settings], staging: Settings) -> None:
    assert rules_file(stack("prod")) == ROOT / "anonymise.prod.yaml"
    assert rules_file(staging) == ROOT / "files/data/anonymise.sample.yaml"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("stack itqan/prod i0123456789abcdef", "is of itqan/prod i0123456789abcdef, and no copy"),
        ("", "is of none"),
    ],
)
def test_the_tool_refuses_a_host_that_is_no_copy(tmp_path: Path, line: str, said: str) -> None:
    text = host_script("data/data.sh").replace("/etc/itqan", str(tmp_path))
    tool = tmp_path / "itqan-data"
    tool.write_text(text.replace("/run/lock", str(tmp_path)))
    (tmp_path / "stack").write_text(f"{line}\n")
    (tmp_path / "release.conf").write_text(f"ROOT={tmp_path}\nDATABASE=shop\nWEB_USER=nobody\nPHP=php\n")
    for command in ("begin", "database", "files", "end"):
        run = subprocess.run(["bash", tool, command], capture_output=True, text=True, check=False)
        assert run.returncode == 1
        assert said in run.stderr
    assert not (tmp_path / "loading-shop").exists()
