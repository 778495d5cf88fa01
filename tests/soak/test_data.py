"""Production's data in the copy of a branch: a thousand people, of whom none is found there afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from operations.data.kinds import PASSWORD
from settings import stack_of
from settings.age import new_key, private_text, public_text
from tests.branches.project import Checkout, Repository, inside
from tests.people import EVERYBODY, ORIGINALS, PEOPLE, RULES, STATEMENTS, TABLES

pytestmark = pytest.mark.usefixtures("own_edge")

BRANCH, SOURCE = "data-branch", "data-source"
# On an empty database it fails, as migrations of a grown application do.
MIGRATION = """\
<?php
use Illuminate\\Database\\Migrations\\Migration;
use Illuminate\\Database\\Schema\\Blueprint;
use Illuminate\\Support\\Facades\\Schema;

return new class extends Migration
{
    public function up(): void
    {
        Schema::table('customers', fn (Blueprint $table) => $table->string('colour', 20)->default('blue'));
    }

    public function down(): void
    {
        Schema::table('customers', fn (Blueprint $table) => $table->dropColumn('colour'));
    }
};
"""


def within(container: str, script: str, given: str) -> str:
    """Standard output of bash as root in a container, which is given something."""
    command = ["docker", "exec", "-i", container, "bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout


def found_in(container: str) -> list[str]:
    """Files of a container that have anything of anybody, and `database` where a dump of it has."""
    patterns = "".join(f"{text}\n" for text in ORIGINALS)
    script = """
        export LC_ALL=C
        cat >/dev/shm/patterns
        grep -rlaFf /dev/shm/patterns / --exclude-dir={proc,sys,dev} || true
        if [ "$(mysqldump --all-databases | grep -caFf /dev/shm/patterns)" != 0 ]; then echo database; fi
        rm /dev/shm/patterns"""
    return within(container, script, patterns).split()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="itqan-data-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def repository(folder: Path) -> Repository:
    made = Repository.of_sample(folder)
    made.push(BRANCH, "the branch")
    (made.work / "database/migrations/2027_01_01_000000_add_colour.php").write_text(MIGRATION)
    made.commit("A colour for every customer")
    made.git("push", "-q", "origin", BRANCH)
    return made


@pytest.fixture(scope="module")
def identity(folder: Path) -> Path:
    key = folder / "identity"
    key.write_text(private_text(new_key()))
    return key


@pytest.fixture(scope="module")
def here(folder: Path, repository: Repository, identity: Path) -> Iterator[Checkout]:
    """A machine with a server that has backups; a copy stands for the server."""
    from settings.age import identity as read

    made = Checkout.make(folder / "here", repository)
    key = public_text(read(identity.read_text()))
    text = f"config:\n  itqan:extends: staging\n  itqan:backup: {{keys: [{key}]}}\n"
    (made.folder / f"Pulumi.{SOURCE}.yaml").write_text(text)
    yield made
    made.itqan("branch", "down", BRANCH)
    made.itqan("down", "--stack", SOURCE, "--yes")


@pytest.fixture(scope="module")
def source(here: Checkout) -> str:
    """The container of the server, with people, files and a backup of both."""
    here.itqan("up", "--stack", SOURCE)
    container: str = here.outputs(SOURCE)["container"]
    client = "mysql --default-character-set=utf8mb4 itqan_platform"
    within(container, client, TABLES + STATEMENTS)
    assert EVERYBODY[0].name in within(container, "mysqldump itqan_platform customers", "")
    script = """
        mkdir -p /var/www/itqan-platform/storage/app/tenants/7/{logos,papers,other}
        cd /var/www/itqan-platform/storage/app/tenants/7
        echo logo >logos/a.png; cat >papers/a.pdf; cp papers/a.pdf other/"""
    within(container, script, EVERYBODY[0].name)
    here.itqan("backup", SOURCE)
    return container


def up(here: Checkout, identity: Path, status: int = 0) -> tuple[str, str]:
    return here.itqan("branch", "up", BRANCH, "--data", SOURCE, "--identity", str(identity), status=status)


@pytest.mark.usefixtures("source")
def test_without_rules_nothing_is_done(here: Checkout, identity: Path) -> None:
    _, said = up(here, identity, status=1)
    assert f"itqan: anonymise.{SOURCE}.yaml: no such file" in said
    assert here.copies() == {}


@pytest.mark.usefixtures("source")
def test_what_has_no_rule_is_refused_and_the_application_stays_stopped(
    here: Checkout, identity: Path
) -> None:
    rules = RULES.replace("    notes: text\n", "").replace("  sessions: drop rows\n", "")
    (here.folder / f"anonymise.{SOURCE}.yaml").write_text(rules)
    _, said = up(here, identity, status=1)
    assert "  sessions is not known\n" in said
    assert "  customers:\n    notes: text\n" in said
    outputs = here.outputs(stack_of(BRANCH))
    assert inside(outputs, "mysql -N itqan_platform -e 'SHOW TABLES'") == ""
    # nor does a run that does not ask for data start it
    _, said = here.itqan("branch", "up", BRANCH, status=1)
    assert "the data of this copy did not come to their end" in said
    asked = "curl -sk -o /dev/null -w '%{http_code}' --resolve x:443:127.0.0.1 https://x/"
    assert inside(outputs, asked.replace("x", outputs["domain"])) == "503"


def test_nobody_of_a_thousand_is_found_anywhere(here: Checkout, identity: Path, source: str) -> None:
    (here.folder / f"anonymise.{SOURCE}.yaml").write_text(RULES)
    _, said = up(here, identity)
    assert "files: 1 kept, 1 placeholders, 2 left behind" in said
    there = found_in(source)
    assert "database" in there
    assert any(path.startswith("/var/lib/mysql/") for path in there)
    assert any(path.endswith("papers/a.pdf") for path in there)
    assert found_in(here.outputs(stack_of(BRANCH))["container"]) == []


def test_the_data_are_like_productions(here: Checkout) -> None:
    outputs = here.outputs(stack_of(BRANCH))

    def sql(query: str) -> str:
        return inside(outputs, f'mysql -N itqan_platform -e "{query}"')

    assert (
        sql("SELECT COUNT(*), COUNT(DISTINCT email), COUNT(DISTINCT phone) FROM customers")
        == "1000\t1000\t1000"
    )
    joined = "FROM customers c JOIN orders o ON o.customer_id = c.id AND o.customer_email = c.email"
    assert sql(f"SELECT COUNT(*) {joined} AND o.delivered_to = c.name") == str(PEOPLE)
    same = "JSON_VALUE(settings, '$.contact.phone') = phone AND JSON_VALUE(settings, '$.friends[0]') = email"
    assert sql(f"SELECT COUNT(*) FROM customers WHERE {same} AND plan = 'gold'".replace("$", "\\$")) == str(
        PEOPLE
    )
    assert sql("SELECT COUNT(*) FROM customers WHERE id % 2 AND HEX(name) RLIKE '^D[89]'") == str(PEOPLE // 2)
    assert sql("SELECT COUNT(*) FROM sessions") == "0"
    assert sql("SELECT COUNT(*) FROM addresses") == str(PEOPLE)
    # the branch's own migration ran on them, and its seeds did not
    assert sql("SELECT COUNT(*) FROM customers WHERE colour = 'blue'") == str(PEOPLE)
    assert sql("SELECT COUNT(*) FROM visits WHERE token = 'seeded'") == "0"
    hashed = sql("SELECT password FROM customers LIMIT 1").replace("$", "\\$")
    assert (
        inside(outputs, f'php -r "var_dump(password_verify(\\"{PASSWORD}\\", \'{hashed}\'));"')
        == "bool(true)"
    )
    assert inside(outputs, "cat /var/www/itqan-platform/storage/app/tenants/7/logos/a.png") == "logo"


def test_data_stay_until_they_are_asked_for_again(here: Checkout) -> None:
    outputs = here.outputs(stack_of(BRANCH))
    before = inside(outputs, "mysql -N itqan_platform -e 'SELECT email FROM customers WHERE id = 1'")
    here.itqan("branch", "up", BRANCH)
    assert inside(outputs, "mysql -N itqan_platform -e 'SELECT email FROM customers WHERE id = 1'") == before
