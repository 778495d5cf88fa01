"""Dumps become anonymous while they stream, or are refused as a whole."""

from __future__ import annotations

import io
import itertools
import json
import re
import tarfile
from collections.abc import Iterator

import pytest

from operations.data.anonymise import Anonymiser, Refused
from operations.data.dump import Rows, Unreadable, quoted, read_dump, unquoted
from operations.data.files import PDF, PIXEL, anonymous_files
from operations.data.kinds import Replacer
from operations.data.rules import parse_rules

NAME = "anonymise.prod.yaml"
USERS = """\
DROP TABLE IF EXISTS `users`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `users` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `email` varchar(255) NOT NULL,
  `phone` bigint DEFAULT NULL,
  `state` varchar(20) DEFAULT NULL,
  `settings` longtext DEFAULT NULL CHECK (json_valid(`settings`)),
  `key` varbinary(16) DEFAULT NULL,
  `initials` varchar(9) GENERATED ALWAYS AS (left(`name`,1)) STORED,
  PRIMARY KEY (`id`),
  UNIQUE KEY `users_email_unique` (`email`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""
END = "-- Dump completed on 2026-11-29\n"
SESSIONS = """\
CREATE TABLE `sessions` (
  `id` varchar(255) NOT NULL,
  `payload` longtext NOT NULL
) ENGINE=InnoDB;
"""
COLUMNS = "(`id`, `name`, `email`, `phone`, `state`, `settings`, `key`)"
RULES = """\
tables:
  users:
    {name: name, email: email, phone: phone, state: keep, key: token,
     settings: {$.phone: phone, $.notes: text}}
  sessions: drop rows
"""
ONE_LINE = (
    rf"INSERT INTO `users` {COLUMNS} VALUES (1,'O\'Neil, (Jim) \\','Jim@x.com',966501234567,'a',"
    r"""'{"phone": "0501234567", "theme": "dark", "notes": {"a": ["Jim said"], "b": 3}}',0x00FF),"""
    r"(2,'أمينة الصديق','jim@X.com',NULL,'',NULL,NULL);"
    "\n"
)
MARIADB = f"INSERT INTO `users` {COLUMNS} VALUES\n" + ONE_LINE.partition("VALUES ")[2].replace(
    "),(2", "),\n(2"
)


def made(dump: str, rules: str = RULES) -> str:
    """The dump as a copy gets it."""
    return "".join(
        Anonymiser(parse_rules(rules, NAME), NAME, Replacer(b"k" * 32)).lines(dump.splitlines(True))
    )


def refusal(dump: str, rules: str = RULES) -> tuple[list[str], str]:
    """What is said of a dump that is refused, and what had come out by then."""
    anonymiser = Anonymiser(parse_rules(rules, NAME), NAME)
    out: list[str] = []
    with pytest.raises(Refused) as told:
        out.extend(anonymiser.lines(dump.splitlines(True)))
    return [line.rstrip() for line in str(told.value).splitlines()], "".join(out)


def rows(dump: str) -> list[list[str]]:
    """The values in a dump, as literals."""
    parts = [part for part in read_dump(dump.splitlines(True)) if isinstance(part, Rows)]
    return [list(row) for row in itertools.chain.from_iterable(part.rows for part in parts)]


@pytest.mark.parametrize("insert", [ONE_LINE, MARIADB], ids=["mysql", "mariadb"])
def test_values_are_replaced_by_their_rules_and_the_rest_stays(insert: str) -> None:
    dump = USERS + insert + END
    (jim, amina), (before, _) = rows(made(dump)), rows(dump)
    assert (jim[0], amina[0], jim[4], amina[4]) == ("1", "2", "'a'", "''")
    assert jim[2] == amina[2] != before[2]
    assert re.fullmatch(r"96650\d{7}", jim[3])
    assert jim[3] != before[3]
    assert amina[3] == amina[5] == amina[6] == "NULL"
    assert re.fullmatch("0x[0-9A-F]{4}", jim[6])
    inside = json.loads(unquoted(jim[5]))
    assert inside["theme"] == "dark"
    assert inside["phone"][-7:] == jim[3][-7:]
    assert "Jim" not in inside["notes"]["a"][0]


def test_generated_columns_are_computed_anew_where_a_dump_has_their_values() -> None:
    # as mariadb-dump writes them; mysqldump names the other columns instead
    row = "(1,'Jim','jim@x.com',NULL,'a',NULL,NULL,'J')"
    [jim] = rows(made(f"{USERS}INSERT INTO `users` VALUES\n{row};\n{END}"))
    assert jim[-1] == "DEFAULT"
    assert "Jim" not in jim[1]


def test_all_else_of_a_dump_goes_on_as_it_is() -> None:
    code = (
        "DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER `t` BEFORE INSERT ON `users`\n"
        "FOR EACH ROW SET NEW.state = 'a' */;;\nDELIMITER ;\n"
        "/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `id`*/;\n"
    )
    dump = (
        f"/*M!999999\\- enable the sandbox mode */ \n-- MySQL dump\n\nSET NAMES utf8mb4;\n{USERS}{code}{END}"
    )
    assert made(dump) == dump


def test_rows_that_are_dropped_leave_no_word() -> None:
    for insert in (
        "INSERT INTO `sessions` VALUES ('a','b'),('c','d');\n",
        "INSERT INTO `sessions` VALUES\n('a','b'),\n('c','d');\n",
    ):
        assert made(SESSIONS + insert + END) == SESSIONS + END


def test_everything_without_a_rule_is_told_at_once_with_lines_that_are_rules() -> None:
    orders = "CREATE TABLE `orders` (\n  `id` int NOT NULL,\n  `total` decimal(8,2) NOT NULL\n) ENGINE=x;\n"
    dump = SESSIONS + orders + USERS + ONE_LINE.replace("'a',", "'ask a@b.co',") + END
    said, out = refusal(dump, "tables: {users: {name: name}}")
    assert out == "".join(SESSIONS.splitlines(True)[:-1])
    assert said[0].startswith(f"{NAME} has no rule for all that the backup has")
    assert said[1:9] == [
        "  sessions is not known",
        "  orders is not known",
        "  users.email is called like an e-mail address",
        "  users.phone is called like what is personal (phone)",
        "  users.key can hold anything (varbinary(16))",
        "  users.state has a value that looks like an e-mail address",
        "  users.settings $.phone looks like what is personal (phone)",
        "  users.settings $.notes.a[*] looks like a name or what a person wrote",
    ]
    proposed = "\n".join(said[said.index(next(line for line in said if "Lines to add" in line)) + 1 :])
    merged = "tables:\n" + proposed.replace("  users:\n", "  users:\n    name: name\n")
    merged = merged.replace("state: email", "state: text")
    assert "Jim" not in made(dump, merged)
    assert "a@b.co" not in made(dump, merged)


def test_a_value_far_down_is_seen_and_nothing_comes_out_from_there() -> None:
    many = ",".join(f"({number},'n','a@b.co',NULL,'ok',NULL,NULL)" for number in range(1000))
    late = "(5000,'n','a@b.co',NULL,'Amina Siddiq',NULL,NULL)"
    dump = (
        USERS
        + f"INSERT INTO `users` {COLUMNS} VALUES {many};\nINSERT INTO `users` {COLUMNS} VALUES {late};\n"
        + END
    )
    said, out = refusal(dump, RULES.replace("state: keep, ", ""))
    assert said[1] == "  users.state has a value that looks like a name or what a person wrote"
    assert "Amina" not in out
    assert "(999," in out


def test_a_kind_that_does_not_fit_its_column_is_refused() -> None:
    columns = "  `mail` varchar(12) NOT NULL,\n  `j` json NOT NULL,\n  `n` varchar(9) NOT NULL\n"
    table = f"CREATE TABLE `a` (\n{columns}) ENGINE=InnoDB;\n"
    said, _ = refusal(table + END, "tables: {a: {mail: email, j: text, n: null}}")
    assert said[1:4] == [
        "  a.mail email: an address needs 22 characters, the column has 12",
        "  a.j holds JSON: a kind for each path instead of text",
        "  a.n may not be NULL: another kind than null",
    ]


def test_rules_of_tables_that_are_not_there_are_a_note() -> None:
    anonymiser = Anonymiser(parse_rules(RULES, NAME), NAME)
    list(anonymiser.lines([END]))
    assert anonymiser.notes == [f"{NAME} has rules for tables that the backup does not have: sessions, users"]


@pytest.mark.parametrize(
    ("dump", "said"),
    [
        (USERS, "and is not whole"),
        ("", "ends after line 0, and is not whole"),
        (USERS + "INSERT INTO `users` VALUES (1,'Ami", "is not understood"),
        (USERS + "INSERT INTO `users` VALUES (1,'Amina');\n" + END, "line 15 of the dump is not understood"),
        (
            "REPLACE INTO `users` VALUES (1,'Amina');\n" + END,
            "line 1 of the dump is not understood (REPLACE INTO)",
        ),
        ("INSERT INTO `users` VALUES (1,'Amina');\n" + END, "rows of users before its CREATE TABLE"),
        ("USE `other`;\n" + END, "not understood (USE)"),
        ("CREATE TABLE `a` (\n  `x` int\n) ENGINE=x\nPARTITION BY x;\n" + END, "is not understood"),
    ],
)
def test_what_is_no_whole_dump_is_refused_without_a_word_of_it(dump: str, said: str) -> None:
    with pytest.raises(Unreadable) as told:
        made(dump)
    assert said in str(told.value)
    assert "Ami" not in str(told.value)


@pytest.mark.parametrize("text", ["", "'", "\\", 'a\nb\r\0\x1a"', "''", "\\'", "أمينة", "x'\\n'y"])
def test_strings_survive_a_dump(text: str) -> None:
    assert unquoted(quoted(text)) == text


def archive(files: dict[str, bytes], link: bool = False) -> io.BytesIO:
    """A tar stream."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as target:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            target.addfile(header, io.BytesIO(content))
        if link:
            header = tarfile.TarInfo("1/logos/link")
            header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
            target.addfile(header)
    return io.BytesIO(stream.getvalue())


def members(stream: io.BytesIO) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as source:
        for member in source:
            content = source.extractfile(member)
            yield member.name, content.read() if content else b""


def test_files_pass_by_their_rules_and_links_never() -> None:
    rules = parse_rules(
        'tables: {}\nfiles: {"*/logos/**": keep, "*/papers/**": placeholder, "**": drop}', NAME
    )
    files = {
        "./1/logos/a.png": b"logo",
        "1/papers/amina.pdf": b"paper",
        "1/papers/amina.JPG": b"photo",
        "1/other.txt": b"Amina",
        "../1/logos/out.png": b"out",
    }
    out = io.BytesIO()
    count = anonymous_files(archive(files, link=True), rules, out)
    assert dict(members(out)) == {
        "1/logos/a.png": b"logo",
        "1/papers/amina.pdf": PDF,
        "1/papers/amina.JPG": PIXEL,
    }
    assert count.words == "1 kept, 2 placeholders, 2 left behind"
