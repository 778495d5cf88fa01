"""One test for each case of the suite; the cases of a suite share their plugin processes."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .deviations import DEVIATIONS

SUITE = Path(__file__).resolve().parent / "suite"
Records = list[dict[str, Any]]

# Keys that the recording has from the machine that it was made on.
_HOST_KEYS = [
    (re.compile(r'ecdsa-sha2-nistp256 [A-Za-z0-9+/=]+(?: [^\s"\\]+)?'), "<ecdsa public key>"),
    (re.compile(r'ssh-rsa [A-Za-z0-9+/=]+(?: [^\s"\\]+)?'), "<rsa public key>"),
]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_suite", SUITE / "conformance.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


conformance = _load()


def _recorded(name: str) -> dict[str, Records]:
    answers: dict[str, Records] = json.loads((SUITE / f"{name}.expected.json").read_text())
    return answers


RECORDED = {name: _recorded(name) for name in DEVIATIONS}


@pytest.fixture(scope="session")
def variables(sshd: str, ssh_key: Path, plain_image: str, free_subnet: str) -> dict[str, str]:
    """The environment variables that the suite asks for."""
    return {
        "CONF_SSH_HOST": sshd,
        "CONF_SSH_PORT": "22",
        "CONF_SSH_USER": "conf",
        "CONF_SSH_KEY": str(ssh_key),
        "CONF_DOCKER_IMAGE": plain_image,
        "CONF_DOCKER_SUBNET": free_subnet,
    }


@pytest.fixture(scope="session")
def answers(
    request: pytest.FixtureRequest, variables: dict[str, str], plugins: dict[str, str]
) -> dict[str, dict[str, Records]]:
    """What the plugins answer to the cases that this run of pytest selected, by suite and case."""
    selected = {
        str(item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "case" in item.callspec.params
    }
    with pytest.MonkeyPatch.context() as patch:  # the suite reads them from the environment
        for name, value in variables.items():
            patch.setenv(name, value)
        return {
            name: _run(name, plugins[name], selected) for name in RECORDED if selected & RECORDED[name].keys()
        }


def _run(name: str, plugin: str, selected: set[str]) -> dict[str, Records]:
    """Answers of a suite. Cases with fixed waits get a second chance: they assume an idle machine."""
    answers, timed = _run_once(name, plugin, selected)
    again = {case for case in timed & answers.keys() if _differences(name, case, answers[case])}
    return {**answers, **_run_once(name, plugin, again)[0]} if again else answers


def _run_once(name: str, plugin: str, selected: set[str]) -> tuple[dict[str, Records], set[str]]:
    suite = conformance.Suite(SUITE / f"{name}.yaml", [plugin])
    try:
        timed = {
            case
            for _, about, case in suite.cases()
            if any(step["do"] == "sleep" or "within" in step for step in about["steps"])
        }
        return dict(suite.run(lambda case: case in selected)), timed
    finally:
        suite.close()


def _differences(name: str, case: str, found: Records) -> list[str]:
    lines: list[str] = conformance.differences(
        _without_host_keys(_expected(name, case)), _without_host_keys(found)
    )
    return lines


def _expected(suite: str, case: str) -> Records:
    """The recorded answers with the named deviations."""
    records = copy.deepcopy(RECORDED[suite][case])
    deviation = DEVIATIONS[suite].get(case)
    for label, changes in (deviation.steps if deviation else {}).items():
        step = next(record for record in records if record["step"] == label)
        step.update(changes)
        for gone in [key for key, value in step.items() if value is None]:
            del step[gone]
    return records


def _without_host_keys(records: Records) -> Records:
    text = json.dumps(records)
    for pattern, name in _HOST_KEYS:
        text = pattern.sub(name, text)
    comparable: Records = json.loads(text)
    return comparable


@pytest.mark.parametrize(
    ("suite", "case"), [(suite, case) for suite in RECORDED for case in RECORDED[suite]], ids=str
)
def test_case(suite: str, case: str, answers: dict[str, dict[str, Records]]) -> None:
    assert case in answers[suite], "the suite did not run it"
    found = _differences(suite, case, answers[suite][case])
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("suite", RECORDED)
def test_deviations_name_recorded_steps_and_differ(suite: str) -> None:
    for case, deviation in DEVIATIONS[suite].items():
        assert deviation.reason
        labels = {record["step"] for record in RECORDED[suite][case]}
        assert deviation.steps.keys() <= labels
        assert _expected(suite, case) != RECORDED[suite][case]
