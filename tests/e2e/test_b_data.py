"""What mysqldump writes becomes anonymous, and mysql takes it; the whole way is a soak test."""

from __future__ import annotations

import subprocess

from operations.data.anonymise import Anonymiser
from operations.data.rules import parse_rules
from tests.people import EVERYBODY, ORIGINALS, PEOPLE, RULES, STATEMENTS, TABLES

from .copy import Copy

CLIENT = "mysql --default-character-set=utf8mb4"
# As itqan-backup has them.
DUMP = (
    "mysqldump --single-transaction --routines --events --triggers --hex-blob --default-character-set=utf8mb4"
)
CODE = """
DELIMITER ;;
CREATE TRIGGER trim_name BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = TRIM(NEW.name);;
CREATE PROCEDURE count_customers() BEGIN SELECT COUNT(*) FROM customers; END;;
DELIMITER ;
ALTER TABLE customers ADD initial varchar(1) GENERATED ALWAYS AS (LEFT(name, 1)) STORED, ADD picture blob;
UPDATE customers SET picture = UNHEX('00FF27275C0A') WHERE id = 1;
"""


def given(copy: Copy, command: str, text: str = "") -> str:
    """Standard output of a command in the copy, which is given a text."""
    words = ["docker", "exec", "-i", copy.outputs["container"], "bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout


def test_a_thousand_people_become_nobody_and_nothing_else_changes(copy: Copy) -> None:
    schemas = "".join(f"CREATE DATABASE {name} CHARACTER SET utf8mb4;" for name in ("people", "nobody"))
    given(copy, f"{CLIENT} -e '{schemas}'")
    try:
        given(copy, f"{CLIENT} people", TABLES + STATEMENTS + CODE)
        dump = given(copy, f"{DUMP} people")
        assert all(person.name.replace("'", "\\'") in dump for person in EVERYBODY)
        rules = RULES.replace("    notes: text\n", "    notes: text\n    picture: token\n")
        anonymiser = Anonymiser(parse_rules(rules, "rules"), "rules")
        given(copy, f"{CLIENT} nobody", "".join(anonymiser.lines(dump.splitlines(True))))
        after = given(copy, f"{DUMP} --skip-extended-insert nobody")
        assert [text for text in ORIGINALS if text in after] == []
        joined = "customers c JOIN orders o ON o.customer_id = c.id AND o.customer_email = c.email"
        counted = f"SELECT COUNT(*) FROM {joined} AND o.delivered_to = c.name"
        asked = f"{CLIENT} -N nobody -e 'CALL count_customers(); {counted}'"
        assert given(copy, asked).split() == [str(PEOPLE)] * 2
        bare = f"{DUMP} --no-data --skip-comments"
        structures = [given(copy, f"{bare} {schema}") for schema in ("people", "nobody")]
        assert structures[0].replace("people", "nobody") == structures[1]
    finally:
        given(copy, f"{CLIENT} -e 'DROP DATABASE people; DROP DATABASE nobody'")
