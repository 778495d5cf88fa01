"""`./itqan releases`: the host's log as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from components.observation import Endpoint, State
from components.unit import Unit
from operations import cli
from operations.engine import Engine
from operations.releases import Releases, parsed
from settings import Settings

LINE: dict[str, object] = {
    "when": "2026-11-29T09:30:00Z",
    "commit": "b" * 40,
    "author": "Ali <a@b.c>",
    "from": "a" * 40,
    "ref": "main",
    "kind": "full",
    "seconds": 4.2,
    "by": "deploy from 192.0.2.9",
    "backup": "",
    "result": "released",
    "step": "",
}


def releases(*changes: Mapping[str, object]) -> Releases:
    text = "".join(json.dumps({**LINE, **change}) + "\n" for change in changes)
    return Releases("prod", "deploy@192.0.2.1 port 22", parsed(text))


def test_the_table_has_days_and_results() -> None:
    failed = {
        "when": "2026-11-30T01:00:00Z",
        "result": "failed",
        "step": "step 6, migrate",
        "from": "",
    }
    lines = releases({}, failed).table().splitlines()
    assert lines[1] == "2026-11-29"
    first = "09:30:00  bbbbbbbbbbbb  aaaaaaaaaaaa  main  full  4.2 s  deploy from 192.0.2.9  released"
    assert lines[2].strip() == first
    assert lines[3] == "2026-11-30"
    assert lines[4].split()[2] == "nothing"
    assert lines[4].endswith("failed in step 6, migrate")
    assert lines[-1] == "itqan prod, deploy@192.0.2.1 port 22: 2 noted"


def test_the_table_says_how_many_it_leaves_out() -> None:
    shown = releases(*[{"seconds": number} for number in range(23)]).table()
    assert shown.endswith("23 noted, 3 older ones with --json")
    assert shown.count("released") == 20


def test_a_host_without_a_release_says_so() -> None:
    assert releases().table() == "itqan prod, deploy@192.0.2.1 port 22: no release was noted yet"


def test_json_has_all_as_the_host_wrote_it() -> None:
    [found] = json.loads(releases({}).to_json())["releases"]
    assert found == LINE


def test_the_command_reads_the_log_of_the_stacks_host(
    prod: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked: list[tuple[Endpoint, str]] = []

    def look(hosts: list[tuple[Endpoint, list[Unit]]]) -> list[list[State]]:
        [(endpoint, [unit])] = hosts
        looked.append((endpoint, unit.probe))
        return [[State(unit, json.dumps(LINE))]]

    monkeypatch.setattr("sys.argv", ["itqan", "releases", "prod", "--json"])
    monkeypatch.setattr("operations.releases.ready_engine", lambda _: Engine(Path("pulumi")))
    monkeypatch.setattr("operations.audit.read_settings", lambda *_: [prod])
    monkeypatch.setattr("operations.hosts.look", look)
    assert cli.main() == 0
    assert json.loads(capsys.readouterr().out)["releases"] == [LINE]
    [(endpoint, probe)] = looked
    assert (endpoint.host, probe) == ("72.62.92.156", "probe_releases /var/log/itqan/releases.jsonl")


def test_the_probe_prints_the_log(bash: Callable[..., object], tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo\n")
    assert bash("probe_releases log").stdout == "one\ntwo\n"  # type: ignore[attr-defined]
    assert bash("probe_releases none || true").stdout == ""  # type: ignore[attr-defined]
