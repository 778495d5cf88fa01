"""Units: what holds for every unit of every kind of stack."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components import nginx
from components.platform import Platform
from components.render import LIBRARY, PROBES, text
from components.server import server_units
from components.unit import Unit, call, create_text, file_unit, lines, remove_text
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]

# Commands that change something; none of them has a place in a probe.
WRITING = [
    "rm",
    "mv",
    "cp",
    "ln",
    "install",
    "tee",
    "touch",
    "mkdir",
    "rmdir",
    "mktemp",
    "chmod",
    "chown",
    "truncate",
    "dd",
    "sync",
    "kill",
    "useradd",
    "usermod",
    "apt",
    "apt-get",
    "place",
    "set_aside",
    "keep_only",
    "nsupdate",
    "certbot",
    "update-alternatives",
    "fast-import",
    "checkout",
    "fetch",
    "enable",
    "disable",
    "restart",
    "reload",
    "start",
    "stop",
]

OWNER = "itqan/prod i1"


def texts(unit: Unit) -> list[str]:
    """Everything of a unit that the engine keeps and shows in clear."""
    commands = [
        create_text(unit, OWNER, sudo=True),
        create_text(unit, OWNER, sudo=False),
        remove_text(unit, OWNER, sudo=True) or "",
    ]
    return [*commands, unit.name, unit.probe, unit.expect, unit.apply, unit.output or ""]


def test_names_are_unique(any_units: list[Unit]) -> None:
    names = [unit.name for unit in any_units]
    assert len(set(names)) == len(names)
    assert len({unit.slug for unit in any_units}) == len(names)


def test_two_units_with_one_name_are_refused(
    prod: Settings, ubuntu: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = nginx.units(prod, ubuntu)
    monkeypatch.setattr(nginx, "units", lambda *_: [*units, units[0]])
    with pytest.raises(ValueError, match="two units are called nginx/site"):
        server_units(prod, ubuntu, "0" * 40)


@pytest.mark.parametrize("name", ["site", "nginx/", "Nginx/site", "nginx/a/b", "nginx/a b", "nginx/site\n"])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a name is part/thing"):
        Unit(name, "true", "x", "true")


def test_expect_can_be_compared(any_units: list[Unit]) -> None:
    """No empty line, no blank at an end: a probe's output in $(…) would never be equal to it."""
    wrong = [
        u.name
        for u in any_units
        if not u.expect or any(line != line.strip() or not line for line in u.expect.split("\n"))
    ]
    assert wrong == []


def test_every_probe_names_what_is_expected(any_units: list[Unit]) -> None:
    assert [unit.name for unit in any_units if not unit.probe.strip()] == []


def test_secrets_stand_only_in_payloads_that_are_marked(
    any_units: list[Unit], secrets: dict[str, str]
) -> None:
    for unit in any_units:
        clear = [*texts(unit), *([] if unit.secret else [unit.payload or ""])]
        assert [name for name, value in secrets.items() if any(value in part for part in clear)] == [], (
            unit.name
        )


def test_every_secret_of_the_server_reaches_it(prod_units: dict[str, Unit], secrets: dict[str, str]) -> None:
    payloads = "".join(unit.payload or "" for unit in prod_units.values() if unit.secret)
    connection = {"sshPrivateKey", "sshHostPrivateKey", "registrarPrivateKey", "authorityPrivateKey"}
    connection |= {"tsigSecret", "hostingerToken", "observerPrivateKey"}
    connection |= {"branchSeed", "dockerPrivateKey"}  # never leave this machine
    connection |= {
        "backupMacKey",
        "backupPrivateKey",
        "backupAccessKey",
        "backupSecretKey",
    }  # with a second place only
    escaped = payloads.replace("\\$", "$")
    assert [name for name, value in secrets.items() if name not in connection and value not in escaped] == []


def test_payloads_with_secrets(prod_units: dict[str, Unit], staging_units: dict[str, Unit]) -> None:
    always = {"host/digest-key", "database/client", "database/schema", "release/env", "release/deploy-key"}
    copy = {"certificates/credentials", "dns/records"}
    assert {name for name, unit in prod_units.items() if unit.secret} == always
    assert {name for name, unit in staging_units.items() if unit.secret} == always | copy


def test_a_secret_file_is_not_for_everybody(staging_units: dict[str, Unit]) -> None:
    """Except .env, which the document has at 755; `strict` narrows it."""
    for name, unit in staging_units.items():
        if unit.secret and unit.expect.startswith("file ") and name != "release/env":
            assert " 600 " in unit.expect.splitlines()[0], name


def test_probes_only_look(any_units: list[Unit]) -> None:
    for unit in any_units:
        for line in unit.probe.splitlines():
            assert line.startswith(("probe_", "printf ")), f"{unit.name}: {line}"
            assert not re.search(r"[>;&|`]", re.sub(r"'[^']*'", "", line)), f"{unit.name}: {line}"


def test_the_probes_of_the_library_only_look() -> None:
    # but for the checks before the first change, which keep the answers of servers in a temporary folder
    files = {*PROBES, "host/surroundings.sh", "host/observe.sh"} - {"host/preflight.sh"}
    code = re.sub(r"(?m)(^|\s)#.*$", "", "".join(map(text, sorted(files))))
    commands = re.findall(
        r"(?:^|[;|&({!]|\$\(|\b(?:then|do|else|if|xargs|sudo|exec|env)\b)\s*([a-z][a-z_-]*)",
        code,
        re.MULTILINE,
    )
    assert "stat" in commands
    assert sorted(set(commands) & set(WRITING)) == []
    bare = re.sub(r"'[^']*'|\(\([^()]*\)\)", "", code)
    bare = re.sub(r"<\?.*?\?>|</?[a-zA-Z]+/?>", "", bare)  # the tags of XML-RPC
    assert set(re.findall(r"[12]?>{1,2}\s*([^\s;)]+)", bare)) <= {"/dev/null", "&1", "&2"}
    assert "sed -i" not in code


def test_every_function_that_a_unit_calls_is_in_the_library(any_units: list[Unit]) -> None:
    library = "\n".join(text(part) for part in LIBRARY)
    known = set(re.findall(r"(?m)^([a-z_]+)\(\)", library))
    called = {
        word
        for unit in any_units
        for word in re.findall(
            r"(?m)^([a-z]+_[a-z_]+|place)(?= |$)", f"{unit.probe}\n{unit.apply}\n{unit.output or ''}"
        )
    }
    assert {"probe_file", "place", "print_root"} <= called
    assert called - known == set()


def test_every_text_is_bash(any_units: list[Unit], tmp_path: Path) -> None:
    for unit in any_units:
        bodies = [body for body in (unit.probe, unit.apply, unit.remove, unit.output) if body]
        functions = "\n".join(f"body{number}() {{\n{body}\n}}" for number, body in enumerate(bodies))
        commands = [create_text(unit, OWNER, sudo=True), remove_text(unit, OWNER, sudo=True) or ""]
        (tmp_path / unit.slug).write_text("\n".join([*commands, functions, ""]))
    program = 'for file in *; do bash -n "$file" || echo "$file"; done 2>&1'
    checked = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert checked.stdout == ""


def test_create_text_hands_over_probe_expect_apply_and_output_as_they_are(tmp_path: Path) -> None:
    unit = Unit(
        "part/thing", 'echo "$HOME" `x` \\ \'', "a\n  b  $x", "apply 'it'", "x إ\n", output="print it"
    )
    runner = tmp_path / "runner"
    runner.write_text("#!/bin/bash\nprintf '<%s>\\n' \"$@\"\n")
    runner.chmod(0o755)
    command = create_text(unit, OWNER, sudo=False).replace("/usr/local/sbin/itqan-converge", str(runner))
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert (
        said
        == f"<{OWNER}>\n<part/thing>\n<5>\n<{unit.probe}>\n<{unit.expect}>\n<{unit.apply}>\n<{unit.output}>\n"
    )


def test_create_text_is_line_by_line(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["nginx/site"]
    assert create_text(unit, OWNER, sudo=True).splitlines()[:3] == [
        f"sudo -n /usr/local/sbin/itqan-converge 'itqan/prod i1' nginx/site {len(unit.payload or '')} \\",
        "\"$(cat <<'PROBE'",
        "probe_file /etc/nginx/sites-available/itqan-platform",
    ]
    assert create_text(unit, OWNER, sudo=False).startswith(
        "/usr/local/sbin/itqan-converge 'itqan/prod i1' nginx/site"
    )


def test_a_line_that_ends_the_here_document_is_refused() -> None:
    with pytest.raises(ValueError, match="a line of the text is APPLY"):
        create_text(Unit("a/b", "true", "x", "one\nAPPLY\ntwo"), OWNER, sudo=False)


def test_remove_runs_as_root_under_the_rules_of_apply() -> None:
    unit = file_unit("a/b", "/etc/some file", "x\n")
    command = remove_text(unit, OWNER, sudo=True)
    assert command is not None
    assert command.startswith("sudo -n /usr/local/sbin/itqan-converge 'itqan/prod i1' a/b --remove ")
    assert "rm -f '/etc/some file'" in command
    assert remove_text(Unit("a/b", "true", "x", "true"), OWNER, sudo=True) is None


def test_state_that_cannot_be_made_again_is_never_removed(any_units: list[Unit]) -> None:
    kept = ("database/schema", "certificates/lineage", "release/code", "release/checkout", "host/accounts")
    assert [unit.name for unit in any_units if unit.name in kept and unit.remove] == []


def test_a_file_unit_expects_its_own_content() -> None:
    unit = file_unit(
        "a/b", "/etc/x", "hello\n", owner="deploy:deploy", mode="600", then="reload", expect="more"
    )
    digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert unit.expect == f"file /etc/x deploy:deploy 600 sha256:{digest}\nmore"
    assert unit.apply == "place /etc/x deploy:deploy 600\nreload"
    assert unit.payload == "hello\n"


def test_arguments_are_quoted() -> None:
    assert call("probe_file", "/a b", "$x", "") == "probe_file '/a b' '$x' ''"
    assert lines("a", "", "b") == "a\nb"


def test_files_end_in_a_newline_and_say_who_wrote_them(any_units: list[Unit]) -> None:
    foreign = {
        "host/authorized-keys",
        "release/deploy-key",
        "release/token",
        "certificates/authority",
        "host/runner",
        "release/tool",
        "backup/known-hosts",
        "backup/mac",
        "backup/place",
    }
    for unit in any_units:
        if unit.apply.startswith("place ") and unit.payload:
            assert unit.payload.endswith("\n"), unit.name
            assert unit.name in foreign or "managed by itqan, " in unit.payload.partition("\n\n")[0], (
                unit.name
            )


def test_programs_on_the_host_say_what_they_are(prod_units: dict[str, Unit]) -> None:
    for name in ("host/runner", "release/tool"):
        payload = prod_units[name].payload or ""
        assert payload.startswith("#!/bin/bash\n# ")
        assert payload.count("managed by itqan, ") == 1, name


def test_both_platforms_and_levels_have_the_same_units(
    stack: Callable[..., Settings], units_of: Units
) -> None:
    documented = units_of(stack("prod"))
    strict = units_of(stack("prod", hardening="strict"))
    other = units_of(stack("prod", platform="debian-13"))
    further = strict.keys() - documented.keys()
    assert documented.keys() <= strict.keys()
    assert all(name.startswith("hardening/") or name.endswith("/sandbox") for name in further)
    assert documented.keys() - other.keys() == {"packages/sources", "packages/composer"}
    assert other.keys() <= documented.keys()


def test_strict_changes_exactly_the_traps(prod: Settings, strict: Settings, units_of: Units) -> None:
    documented, recommended = units_of(prod), units_of(strict)
    assert {name for name in documented if documented[name] != recommended[name]} == {
        "nginx/site",
        "release/deployment",
        "release/env",
        "supervisor/reverb",
    }
    assert " deploy:deploy 755 " in documented["release/env"].expect
    assert " deploy:www-data 640 " in recommended["release/env"].expect
    assert "--host=0.0.0.0 " in (documented["supervisor/reverb"].payload or "")
    assert "--host=127.0.0.1 " in (recommended["supervisor/reverb"].payload or "")


def test_the_same_settings_give_the_same_units(prod: Settings, staging: Settings, units_of: Units) -> None:
    assert units_of(prod) == units_of(prod)
    assert units_of(staging) == units_of(staging)
