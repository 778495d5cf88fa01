"""Drifts seeded on a running copy: preview, audit and parity name each; one `up` heals what units own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .conftest import STACK
from .copy import Copy, itqan, poll, pulumi

OTHER = f"{STACK}-other"
ROOT = "/var/www/itqan-platform"
SITE = "/etc/nginx/sites-available/itqan-platform"
# A key that nobody has the private half of.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA stranger"

DELETE_RECORD = r"""
of() { sed -n "s/^dns_rfc2136_$1 = //p" /etc/letsencrypt/rfc2136.ini; }
{
    echo "server $(of server)"
    echo "key hmac-sha512:itqan. $(of secret)"
    echo "update delete *.itqan.test A"
    echo send
} | nsupdate
"""
COMMIT = f"""
cd {ROOT}
runuser -u deploy -- git -c user.name=x -c user.email=x@example.org commit -q --allow-empty -m x
"""


@dataclass(frozen=True)
class Drift:
    """A drift.

    name   the unit or surrounding that has to name it
    word   part of what is found
    seed   how it is made
    undo   how a person takes back what no unit owns
    also   what may fall with it
    """

    what: str
    name: str
    word: str
    seed: str
    undo: str = ""
    also: tuple[str, ...] = ()


FIRST = (
    Drift("mode of a file", "nginx/site", "600", f"chmod 600 {SITE}"),
    Drift("what is sent out gets out", "catcher/rules", "absent", "nft delete table inet itqan_copy"),
    Drift("owner of a directory", "host/directories", "www-data", "chown www-data /home/deploy/backups"),
    Drift("content of a file", "php/cli-limits", "sha256", "echo >>/etc/php/8.4/cli/conf.d/90-itqan.ini"),
    Drift("deleted file", "certificates/hook", "absent", "rm /etc/letsencrypt/renewal-hooks/deploy/nginx.sh"),
    Drift("further site", "nginx/sites", "extra", f"cp {SITE} /etc/nginx/sites-enabled/extra"),
    Drift("stopped service", "cron/service", "disabled", "systemctl disable -q --now cron"),
    Drift("stopped program", "supervisor/reverb", "STOPPED", "supervisorctl stop reverb:* >&2"),
    Drift(
        "value of the pool",
        "php/pool",
        "sha256",
        "sed -i 's/^pm.max_children.*/pm.max_children = 50/' /etc/php/8.4/fpm/pool.d/www.conf",
    ),
    Drift(
        "line in the web user's crontab",
        "cron/scheduler",
        "sha256",
        "{ crontab -u www-data -l; echo '@daily true'; } | crontab -u www-data -",
    ),
    Drift("removed package", "packages/installed", "unzip", "dpkg -r unzip >&2"),
    Drift(
        "character set of the database",
        "database/schema",
        "latin1",
        "mysql -e 'ALTER DATABASE itqan_platform CHARACTER SET latin1'",
    ),
    Drift(
        "DNS record",
        "dns/records",
        "nothing",
        DELETE_RECORD,
    ),
    Drift(
        "release at another commit",
        "release/code",
        "commit",
        COMMIT,
    ),
    Drift(
        "program whose file is gone",
        "supervisor/files",
        "stranger",
        "cd /etc/supervisor/conf.d\n"
        "printf '[program:stranger]\\ncommand=/bin/sleep 900\\nuser=www-data\\n' >stranger.conf\n"
        "supervisorctl update >&2\n"
        "rm stranger.conf",
    ),
    Drift("permission of storage", "release/permissions", "storage", f"chmod 700 {ROOT}/storage/app"),
    Drift(
        "rule of sudo",
        "surroundings/sudo",
        "stranger",
        "echo 'stranger ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/stranger",
        "rm /etc/sudoers.d/stranger",
    ),
    Drift(
        "second database user with all rights",
        "surroundings/database",
        "stranger@%",
        "mysql -e \"CREATE USER stranger@'%'; GRANT ALL ON *.* TO stranger@'%' WITH GRANT OPTION\"",
        "mysql -e \"DROP USER stranger@'%'\"",
    ),
    Drift(
        "login key",
        "surroundings/keys",
        "key deploy",
        "install -d -o deploy -g deploy -m 700 /home/deploy/.ssh\n"
        f"echo '{KEY}' >>/home/deploy/.ssh/authorized_keys",
        "sed -i '/ stranger$/d' /home/deploy/.ssh/authorized_keys",
    ),
    Drift("account", "surroundings/logins", "stranger", "useradd -s /bin/bash stranger", "userdel stranger"),
    Drift(
        "crontab of root",
        "surroundings/crontabs",
        "/root/x.sh",
        "echo '@daily /root/x.sh --password=hunter2' | crontab -",
        "crontab -r",
    ),
    Drift(
        "file of nginx",
        "surroundings/files",
        "/etc/nginx/conf.d/x.conf",
        "echo '# by hand' >/etc/nginx/conf.d/x.conf",
        "rm /etc/nginx/conf.d/x.conf",
    ),
    Drift(
        "listening socket",
        "surroundings/sockets",
        ":9999",
        "systemd-run -q --unit=stranger-socket php -S 0.0.0.0:9999",
        "systemctl stop stranger-socket",
    ),
    Drift(
        "systemd unit",
        "surroundings/units",
        "stranger.service",
        "printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/stranger.service",
        "rm /etc/systemd/system/stranger.service",
    ),
)
SECOND = (
    Drift(
        "lineage of the certificate",
        "certificates/lineage",
        "manual",
        "sed -i 's/^authenticator = .*/authenticator = manual/' /etc/letsencrypt/renewal/*.conf",
    ),
    Drift(
        "maintenance mode left on",
        "release/code",
        "maintenance on",
        f"cd {ROOT} && runuser -u www-data -- php artisan down >&2",
    ),
    Drift(
        "variable of .env", "release/env", "sha256", f"sed -i 's/^LOG_LEVEL=.*/LOG_LEVEL=debug/' {ROOT}/.env"
    ),
    Drift("name of the host", "host/name", "wrong", "hostname wrong"),
    Drift("pins of apt", "packages/pins", "absent", "rm /etc/apt/preferences.d/itqan"),
    Drift(
        "Redis stopped",
        "redis/service",
        "inactive",
        "systemctl stop redis-server",
        also=("supervisor/itqan-worker", "supervisor/reverb", "surroundings/redis"),
    ),
    Drift("dropped database account", "database/schema", "absent", "mysql -e 'DROP USER itqan@localhost'"),
    Drift(
        "Reverb's file under a second name",
        "supervisor/files",
        "itqan-reverb.conf",
        "cp /etc/supervisor/conf.d/reverb.conf /etc/supervisor/conf.d/itqan-reverb.conf",
    ),
    Drift("service not enabled", "database/service", "disabled", "systemctl disable -q mariadb"),
    Drift(
        "variable of the database",
        "surroundings/database",
        "max_connections",
        "mysql -e 'SET GLOBAL max_connections = 77'",
        "systemctl restart mariadb",
    ),
    Drift(
        "file of PHP that a package brought",
        "surroundings/files",
        "php.ini changed",
        "echo '; by hand' >>/etc/php/8.4/fpm/php.ini",
        "sed -i '/^; by hand$/d' /etc/php/8.4/fpm/php.ini",
    ),
)
ROUNDS = {"first": FIRST, "second": SECOND}
CASES = [(name, drift) for name, drifts in ROUNDS.items() for drift in drifts]
IDS = [drift.what for _, drift in CASES]


@dataclass
class Seen:
    """What the tools said of a round of drifts, and what was left after one `up`."""

    preview: str
    preview_status: int
    audit: dict[str, Any]
    parity: dict[str, Any]
    page: str
    after: dict[str, Any] = field(default_factory=dict)
    up: str = ""


def audit(copy: Copy) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(itqan("audit", "--json", "--stack", copy.stack, check=False).stdout)
    return made


def parity() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(itqan("parity", STACK, OTHER, "--json", check=False).stdout)
    return made


def unclean(copy: Copy) -> dict[str, str]:
    """What an audit names."""
    return _named(audit(copy))


def require_clean(copy: Copy) -> None:
    """Workers that were told to restart need a moment."""
    poll(lambda: unclean(copy), 30, "a clean copy", lambda found: not found)


@pytest.fixture(scope="module")
def other() -> Iterator[None]:
    """A second copy, of which nothing is changed."""
    itqan("up", "--stack", OTHER)
    yield
    itqan("down", "--yes", "--stack", OTHER)


@pytest.fixture(scope="module")
def seen(copy: Copy, other: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:  # noqa: ARG001 (a fixture cannot use usefixtures)
    """Both rounds: seed, look with each tool, heal, look again, take back what no unit owns."""
    page = tmp_path_factory.mktemp("pages") / "audit.html"
    return {name: _round(copy, drifts, page) for name, drifts in ROUNDS.items()}


def _round(copy: Copy, drifts: tuple[Drift, ...], page: Path) -> Seen:
    require_clean(copy)
    for drift in drifts:
        copy.bash(drift.seed)
    preview = itqan("preview", "--diff", "--stack", copy.stack, check=False)
    itqan("audit", "--stack", copy.stack, "--html", str(page), check=False)
    told = preview.stdout + preview.stderr
    made = Seen(told, preview.returncode, audit(copy), parity(), page.read_text(encoding="utf-8"))
    result = itqan("up", "--stack", copy.stack)
    made.up = result.stdout + result.stderr
    poll(lambda: not audit(copy)["differing"], 30, "units as expected after one `up`")
    made.after = audit(copy)
    for drift in drifts:
        if drift.undo:
            copy.bash(drift.undo)
    return made


def _named(report: dict[str, Any]) -> dict[str, str]:
    """What an audit found, by name of unit or surrounding."""
    units = {unit["unit"]: unit["found"] for unit in report["units"] if unit["state"] == "differs"}
    return units | {f"surroundings/{u['surrounding']}": "\n".join(u["lines"]) for u in _unknown(report)}


def _unknown(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**u, "surrounding": u["surrounding"].removeprefix("surroundings/")} for u in report["unknown"]]


@pytest.mark.parametrize(("name", "drift"), CASES, ids=IDS)
def test_the_audit_names_it(seen: dict[str, Seen], name: str, drift: Drift) -> None:
    assert drift.word in _named(seen[name].audit)[drift.name]
    assert drift.name in seen[name].page


@pytest.mark.parametrize(("name", "drift"), CASES, ids=IDS)
def test_the_preview_names_it(seen: dict[str, Seen], name: str, drift: Drift) -> None:
    text = seen[name].preview
    if drift.undo:
        line = next(line for line in text.splitlines() if f"not of this stack: {drift.name}:" in line)
        assert drift.word in line
    else:
        assert drift.name.replace("/", "-") in text
        assert "healed" in text


@pytest.mark.parametrize(("name", "drift"), CASES, ids=IDS)
def test_parity_names_it(seen: dict[str, Seen], name: str, drift: Drift) -> None:
    rows = [row for row in seen[name].parity["rows"] if row["name"] == drift.name]
    assert [row["class"] for row in rows] != ["same"]
    assert {row["class"] for row in rows} == {"unexplained" if drift.undo else "drift"}


@pytest.mark.parametrize("name", ROUNDS)
def test_nothing_else_is_named(seen: dict[str, Seen], name: str) -> None:
    wanted = {drift.name for drift in ROUNDS[name]}
    falls = {name for drift in ROUNDS[name] for name in drift.also}
    assert wanted <= set(_named(seen[name].audit)) <= wanted | falls
    bad = {row["name"] for row in seen[name].parity["rows"] if row["class"] in ("drift", "unexplained")}
    assert bad - wanted - falls <= {"surroundings/enabled"}


@pytest.mark.parametrize("name", ROUNDS)
def test_the_preview_says_that_something_is_to_do(seen: dict[str, Seen], name: str) -> None:
    assert seen[name].preview_status == 2


@pytest.mark.parametrize("name", ROUNDS)
def test_one_up_heals_what_units_own_and_leaves_the_rest(seen: dict[str, Seen], name: str) -> None:
    left = {drift.name for drift in ROUNDS[name] if drift.undo}
    assert set(_named(seen[name].after)) == left
    assert "not of this stack" in seen[name].up


def test_a_password_in_a_crontab_is_not_shown(seen: dict[str, Seen]) -> None:
    told = seen["first"].preview + seen["first"].page + json.dumps(seen["first"].audit)
    assert "hunter2" not in told


@pytest.mark.usefixtures("seen")
def test_ten_clean_runs_give_no_false_alarm(copy: Copy) -> None:
    require_clean(copy)
    for _ in range(10):
        preview = itqan("preview", "--stack", copy.stack)
        assert "not of this stack" not in preview.stdout + preview.stderr
        assert not unclean(copy)
        counts = parity()["counts"]
        assert (counts["drift"], counts["unexplained"]) == (0, 0)


@pytest.mark.usefixtures("seen")
def test_what_a_person_accepts_is_no_longer_unknown(copy: Copy) -> None:
    copy.bash("useradd -s /bin/bash colleague")
    try:
        [unknown] = _unknown(audit(copy))
        words = shlex.split(unknown["accept"])
        assert words[:3] == ["pulumi", "config", "set"]
        pulumi(*words[1:])
        assert not audit(copy)["unknown"]
        [row] = [row for row in parity()["rows"] if row["name"] == "surroundings/logins"]
        assert row["class"] == "explained"
    finally:
        copy.bash("userdel colleague")
        pulumi("config", "rm", "--stack", copy.stack, "--path", "itqan:accepted")


@pytest.mark.usefixtures("seen")
def test_parity_as_tests(copy: Copy) -> None:
    itqan("test", "parity", "--stack", copy.stack, "--stack", OTHER)
    copy.bash("chmod 600 /etc/apt/preferences.d/itqan")
    result = itqan("test", "parity", "--stack", copy.stack, "--stack", OTHER, "-q", check=False)
    copy.bash("chmod 644 /etc/apt/preferences.d/itqan")
    assert result.returncode == 1
    assert "1 failed" in result.stdout
    assert "packages/pins" in result.stdout
