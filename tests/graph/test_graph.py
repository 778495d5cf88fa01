"""The graph: every section of the document has its resource, in the right order, with its secrets marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pulumi
import pytest

from components.observation import Endpoint, State
from components.unit import Unit
from operations.graph import PROGRAM, dependencies
from settings import Settings
from tests.conftest import OBSERVER_KEY
from tests.graph.recorder import Program, in_clear, is_secret, plain

PARTS = [
    "Host",
    "Packages",
    "Database",
    "Redis",
    "Php",
    "DnsWildcard",
    "Certificates",
    "Release",
    "Nginx",
    "Supervisor",
    "Cron",
    "Logrotate",
]

# A section of the document, and the units that stand for it.
SECTIONS = {
    "Server Overview": ["host-preflight", "host-name", "host-accounts", "host-sudo", "dns-records"],
    "Software Stack": ["packages-pins", "packages-installed", "redis-service", "database-service"],
    "Directory Structure": ["host-directories"],
    "Environment Configuration (.env)": ["release-env"],
    "Nginx Configuration": [
        "nginx-site",
        "nginx-sites",
        "nginx-service",
        "nginx-certificate",
        "certificates-lineage",
    ],
    "PHP-FPM Configuration": ["php-pool", "php-pools", "php-fpm-limits", "php-cli-limits", "php-service"],
    "Background Processes (Supervisor)": [
        "supervisor-itqan-worker",
        "supervisor-reverb",
        "supervisor-service",
    ],
    "Cron Jobs": ["cron-scheduler", "cron-service"],
    "Deployment Procedures": ["release-tool", "release-checkout", "release-code"],
    "File Permissions": ["release-permissions"],
    "Database": ["database-schema"],
    "SSL Certificate Renewal": ["certificates-hook", "certificates-timer"],
}

# (what comes first, what comes after), as units.
EDGES = [
    ("host-preflight", "host-name"),
    ("host-directories", "packages-installed"),
    ("packages-installed", "database-service"),
    ("packages-installed", "redis-service"),
    ("packages-installed", "php-pool"),
    ("packages-installed", "dns-records"),
    ("dns-records", "certificates-lineage"),
    ("certificates-lineage", "nginx-site"),
    ("nginx-service", "nginx-certificate"),
    ("php-pool", "nginx-site"),
    ("database-schema", "release-code"),
    ("redis-service", "release-code"),
    ("php-cli-limits", "release-code"),
    ("release-checkout", "release-env"),
    ("release-env", "release-code"),
    ("release-permissions", "supervisor-itqan-worker"),
    ("release-permissions", "supervisor-reverb"),
    ("release-permissions", "cron-scheduler"),
]

# Parts that wait for each other in neither direction, so that they run side by side.
PARALLEL = [
    ("database-schema", "redis-service"),
    ("database-schema", "php-pool"),
    ("dns-records", "database-schema"),
    ("certificates-lineage", "release-code"),
    ("nginx-site", "release-code"),
    ("php-pool", "release-code"),
    ("supervisor-reverb", "cron-scheduler"),
]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_its_resources(either: Program, section: str) -> None:
    assert [name for name in SECTIONS[section] if name not in either.commands] == []


def test_every_unit_is_a_command_of_its_part(
    production: Program, copy: Program, prod_units: dict[str, Unit], staging_units: dict[str, Unit]
) -> None:
    for program, units in ((production, prod_units), (copy, staging_units)):
        assert program.commands.keys() == {unit.slug for unit in units.values()}
        for unit in units.values():
            parent = program.commands[unit.slug].parent
            assert parent == unit.part or unit.name == "host/runner"


def test_every_part_is_a_component(either: Program) -> None:
    kinds = {resource.type for resource in either.resources.values()}
    assert {f"itqan:server:{part}" for part in PARTS} <= kinds


@pytest.mark.parametrize(("first", "then"), EDGES)
def test_order(either: Program, first: str, then: str) -> None:
    assert first in either.all_after(then)


@pytest.mark.parametrize(("one", "other"), PARALLEL)
def test_independent_parts_do_not_wait(either: Program, one: str, other: str) -> None:
    assert other not in either.all_after(one)
    assert one not in either.all_after(other)


def test_the_picture_says_what_waits_for_what(either: Program) -> None:
    """`./itqan graph` reads it from the program's text; here is what the program did."""
    waits = dependencies(PROGRAM.read_text())
    assert list(waits) == [*dict.fromkeys(waits)]
    parts = {resource.parent for resource in either.commands.values() if resource.parent in waits}
    units = {part: [n for n, r in either.commands.items() if r.parent == part] for part in parts}
    for part in parts:
        others = set().union(*(either.all_after(name) for name in units[part]))
        before = {other for other in parts - {part} if others & set(units[other])}
        assert before - {"host"} == _all_before(part, waits) & parts - {"host"}, part


def _all_before(part: str, waits: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for other in waits[part] for name in (other, *_all_before(other, waits))}


def test_the_runner_is_there_before_everything(either: Program) -> None:
    others = either.commands.keys() - {"host-runner"}
    assert [name for name in others if "host-runner" not in either.all_after(name)] == []


def test_units_of_a_part_follow_one_another(either: Program) -> None:
    """Two units of one part at the same time could hold the same lock, or reload one service twice."""
    for part in {resource.parent for name, resource in either.commands.items() if name != "host-runner"}:
        names = [name for name, resource in either.commands.items() if resource.parent == part]
        ranks = sorted(len(either.all_after(name) & set(names)) for name in names)
        assert ranks == list(range(len(names))), part


def test_every_command_is_pinned_and_has_no_triggers(either: Program) -> None:
    for name, command in either.commands.items():
        connection = plain(command.inputs["connection"])
        assert connection["hostKey"].split()[0] == "ssh-ed25519", name
        assert command.inputs["addPreviousOutputInEnv"] is False, name
        assert "triggers" not in command.inputs, name
        assert "environment" not in command.inputs, name
        assert command.inputs["logging"] == "stderr", name


def test_the_connection(production: Program, copy: Program, staging: Settings) -> None:
    by_name = plain(production.commands["nginx-site"].inputs["connection"])
    assert (by_name["host"], by_name["port"], by_name["user"]) == ("72.62.92.156", 22, "deploy")
    by_address = plain(copy.commands["nginx-site"].inputs["connection"])
    assert (by_address["host"], by_address["user"]) == (str(staging.server_address), "root")


def test_private_keys_and_secret_payloads_are_marked(
    production: Program, copy: Program, prod_units: dict[str, Unit], staging_units: dict[str, Unit]
) -> None:
    for program, units in ((production, prod_units), (copy, staging_units)):
        for unit in units.values():
            inputs = program.commands[unit.slug].inputs
            connection = inputs["connection"]
            assert is_secret(connection) or is_secret(connection["privateKey"]), unit.name
            assert is_secret(inputs.get("stdin")) is unit.secret, unit.name
            assert plain(inputs.get("stdin")) == unit.payload, unit.name


def test_no_secret_reaches_the_engine_in_clear(either: Program, secrets: dict[str, str]) -> None:
    for name, resource in either.resources.items():
        shown = in_clear(resource.inputs)
        assert [secret for secret, value in secrets.items() if value.strip() in shown] == [], name


def test_texts_are_the_units(production: Program, copy: Program, prod_units: dict[str, Unit]) -> None:
    site = production.commands["nginx-site"].inputs
    length = len(plain(site["stdin"]))
    assert plain(site["create"]).startswith(
        f"sudo -n /usr/local/sbin/itqan-converge 'itqan/prod i0123456789abcdef' nginx/site {length} \\\n"
    )
    assert plain(copy.commands["nginx-site"].inputs["create"]).startswith(
        "/usr/local/sbin/itqan-converge 'itqan/staging copy' nginx/site"
    )
    assert "delete" not in site  # nginx would not start again with a link to nothing
    limits = production.commands["php-cli-limits"].inputs
    assert prod_units["php/cli-limits"].remove in plain(limits["delete"])
    assert "delete" not in production.commands["database-schema"].inputs


def test_update_is_create_when_nothing_was_healed(either: Program) -> None:
    for name, command in either.commands.items():
        assert command.inputs["update"] == command.inputs["create"], name
        assert not is_secret(command.inputs["update"]), name


def test_the_runner_is_installed_without_itself(either: Program) -> None:
    create = either.commands["host-runner"].inputs["create"]
    assert "mv -f /usr/local/sbin/itqan-converge.itqan-new /usr/local/sbin/itqan-converge" in create
    assert "sha256:" in create
    assert "itqan-converge host/runner" not in create


def test_what_lives_in_the_container_goes_with_it(production: Program, copy: Program) -> None:
    assert {command.deleted_with for command in copy.commands.values()} == {"server"}
    assert {command.deleted_with for command in production.commands.values()} == {""}
    assert "server" in copy.all_after("host-runner") | set(copy.commands["host-runner"].after)


def test_production_has_no_containers(production: Program) -> None:
    assert [
        name for name, resource in production.resources.items() if resource.type.startswith("docker:")
    ] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "https://itqanway.com"),
        ("domain", "itqanway.com"),
        ("address", "72.62.92.156"),
        ("container", None),
        ("rootCertificate", "answer of certificates-root"),
    ],
)
def test_outputs_of_production(production: Program, name: str, value: object) -> None:
    assert production.outputs[name] == value


def test_outputs(either: Program) -> None:
    outputs = either.outputs
    expected = {
        "url",
        "domain",
        "address",
        "ssh",
        "deployUser",
        "container",
        "rootCertificate",
        "release",
        "units",
        "ledger",
    }
    assert outputs.keys() == expected
    assert outputs["ssh"].keys() == {"host", "port", "user", "hostKey"}
    assert outputs["units"] == len(either.commands)
    assert either.secret_outputs == {"ledger"}
    assert outputs["ledger"].keys() == {name for name in outputs["ledger"] if "/" in name}
    assert len(outputs["ledger"]) == outputs["units"]
    assert {entry["healed"] for entry in outputs["ledger"].values()} == {0}


def test_the_key_that_the_host_made_is_told_with_its_place(run: Run) -> None:
    program = run("prod", observe=False, deployKey=None)
    assert program.outputs["deployKey"] == {
        "publicKey": "answer of release-own-key",
        "place": "https://github.com/itqan/itqan-platform/settings/keys",
    }
    assert "release-deploy-key" not in program.commands


def test_outputs_of_a_copy(copy: Program, staging: Settings) -> None:
    assert copy.outputs["url"] == "https://itqan.test"
    assert copy.outputs["container"] == "itqan-staging-server"
    assert copy.outputs["address"] == str(staging.server_address)


Run = Callable[..., Program]


def test_drift_is_an_update_of_one_unit_and_says_what(run: Run, copy: Program) -> None:
    known = {"nginx/service": {"healed": 1, "note": "n"}, "php/service": {"healed": 0, "note": ""}}
    drifted = run("staging", ledger=known, found={"nginx/service": "service nginx enabled inactive"})
    changed = {
        name
        for name, command in drifted.commands.items()
        if command.inputs["update"] != copy.commands[name].inputs["update"]
    }
    assert changed == {"nginx-service"}
    update = drifted.commands["nginx-service"].inputs["update"]
    assert update == copy.commands["nginx-service"].inputs["create"] + (
        "\n# healed 2 times; expected service nginx active, found inactive"
    )
    assert (
        drifted.commands["nginx-service"].inputs["create"] == copy.commands["nginx-service"].inputs["create"]
    )
    assert drifted.outputs["ledger"]["nginx/service"]["healed"] == 2


def test_a_healed_unit_keeps_its_update_text(run: Run) -> None:
    known = {"nginx/service": {"healed": 2, "note": "expected a, found b"}}
    again = run("staging", ledger=known)
    assert (
        again.commands["nginx-service"].inputs["update"].endswith("\n# healed 2 times; expected a, found b")
    )
    assert known["nginx/service"].items() <= again.outputs["ledger"]["nginx/service"].items()


def test_without_observation_the_numbers_stay(run: Run) -> None:
    known = {"nginx/service": {"healed": 2, "note": "expected a, found b"}}
    blind = run("prod", ledger=known, found={"nginx/service": "gone"}, observe=False)
    assert known["nginx/service"].items() <= blind.outputs["ledger"]["nginx/service"].items()


def test_the_observer_s_record_comes_after_every_other_unit(run: Run) -> None:
    program = run("prod", observe=False, observer={"key": OBSERVER_KEY})
    others = set(program.commands) - {"observer-program"}
    assert "observer-sudo" in others
    assert others - program.all_after("observer-program") == set()


@pytest.mark.parametrize("is_preview", [True, False])
def test_a_preview_takes_what_the_observer_was_told_and_up_looks_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch, is_preview: bool
) -> None:
    asked = []

    class Told:
        """A record in which two units are as they must not be, one of them by another probe."""

        def states(self, units: list[Unit]) -> list[State]:
            return [State(unit, "gone") for unit in units if unit.name == "nginx/service"]

        def unlike(self, _: list[Unit]) -> list[str]:
            return ["php/service"]

    async def ask(endpoint: Endpoint, **_: float) -> Told:
        asked.append(endpoint.user)
        return Told()

    monkeypatch.setattr("components.record.ask", ask)
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: is_preview)
    program = run(
        "prod",
        observe="observer",
        observer={"key": OBSERVER_KEY},
        ledger={name: {"healed": 0} for name in ("nginx/service", "php/service")},
    )
    healed = {name: entry["healed"] for name, entry in program.outputs["ledger"].items() if entry["healed"]}
    assert asked == (["itqan-observer"] if is_preview else [])
    assert healed == ({"nginx/service": 1} if is_preview else {})


def test_a_wrong_setting_stops_the_run_before_anything_is_registered(run: Run) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        run("prod", domain="?")
    lines = str(refused.value).splitlines()
    assert lines[0] == "the configuration of stack prod is not usable:"
    assert lines[1].startswith("itqan:domain: '?': allowed: ")


def test_a_host_that_cannot_be_seen_is_told_with_the_way_out(run: Run) -> None:
    reason = "cannot look at deploy@72.62.92.156 port 22: connection refused"
    with pytest.raises(pulumi.RunError) as refused:
        run("prod", unreachable=reason)
    way_out = "To preview without the host: pulumi config set itqan:observe false"
    assert str(refused.value).splitlines() == [reason, way_out]
