"""The ledger: a number for each unit that changes when, and only when, there is drift."""

from __future__ import annotations

import pytest

from components.ledger import READABLE, Entry, next_entries, read
from components.observation import State
from components.unit import Unit, digest

A = Unit("part/a", "probe", "good", "apply")
B = Unit("part/b", "probe", "good", "apply")
GOOD = digest("good")
BEFORE = {"part/a": Entry(expect=GOOD), "part/b": Entry(2, "expected x, found y", GOOD)}


def test_a_new_unit_starts_at_zero_even_when_the_host_differs() -> None:
    assert next_entries([A], {}, [State(A, "bad")]) == {"part/a": Entry(expect=GOOD)}


def test_a_healthy_unit_keeps_its_number_and_note() -> None:
    assert next_entries([A, B], BEFORE, [State(A, "good"), State(B, "good")]) == BEFORE


def test_drift_raises_the_number_by_one_and_says_what() -> None:
    after = next_entries([A, B], BEFORE, [State(A, "bad"), State(B, "good")])
    assert after == {"part/a": Entry(1, "expected good, found bad", GOOD), "part/b": BEFORE["part/b"]}
    assert next_entries([A], after, [State(A, "worse")])["part/a"].healed == 2


def test_a_program_that_expects_something_else_is_no_drift() -> None:
    changed = Unit("part/a", "probe", "better", "apply")
    after = next_entries([changed], BEFORE, [State(changed, "good")])
    assert after == {"part/a": Entry(expect=digest("better"))}
    assert next_entries([changed], after, [State(changed, "good")])["part/a"].healed == 1


def test_only_the_differing_words_are_told() -> None:
    unit = Unit("part/a", "probe", "file /a root:root 644 sha256:1\nservice x enabled active", "apply")
    found = "file /a root:root 600 sha256:1\nservice x disabled inactive"
    entry = next_entries([unit], {"part/a": Entry()}, [State(unit, found)])["part/a"]
    assert entry.note == "expected file /a 644; service x enabled active, found 600; disabled inactive"


def test_without_a_look_every_number_stays() -> None:
    assert next_entries([A, B], BEFORE, None) == BEFORE


def test_a_unit_that_left_the_program_leaves_the_ledger() -> None:
    assert next_entries([A], BEFORE, None) == {"part/a": Entry(expect=GOOD)}


def test_a_unit_that_nobody_saw_keeps_its_number() -> None:
    assert next_entries([A, B], BEFORE, [State(A, "good")])["part/b"] == BEFORE["part/b"]


@pytest.mark.parametrize(
    ("entry", "comment"),
    [
        (Entry(), ""),
        (Entry(1, "expected x, found y"), "\n# healed once; expected x, found y"),
        (Entry(3, "expected x, found y"), "\n# healed 3 times; expected x, found y"),
    ],
)
def test_the_comment(entry: Entry, comment: str) -> None:
    assert entry.comment == comment


def test_the_comment_is_one_readable_line() -> None:
    found = "x" * 1000 + "\n\x1b[31mred\x07\r\ttab\x00 rm -rf /"
    entry = next_entries([A], BEFORE, [State(A, found)])["part/a"]
    assert entry.comment.count("\n") == 1
    assert entry.comment.lstrip("\n").isprintable()
    assert len(entry.comment) <= 2 * READABLE + 60
    assert entry.comment.endswith("…")


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\r", "\x07", "\x0b", "\u2028", "\x85"])
def test_no_control_character_ends_the_comment(character: str) -> None:
    """A line of the host must never become a line of the shell that the next update runs as root."""
    entry = next_entries([A], BEFORE, [State(A, f"before{character}after")])["part/a"]
    assert character not in entry.note
    assert "\n" not in entry.note


def test_what_is_written_is_read_back() -> None:
    assert read({name: entry.to_output() for name, entry in BEFORE.items()}) == BEFORE


@pytest.mark.parametrize("output", [None, "text", 3, [], {"part/a": "no entry"}, {}])
def test_a_foreign_output_gives_no_entries(output: object) -> None:
    assert read(output) == {}


def test_numbers_come_back_as_whole_ones() -> None:
    assert read({"part/a": {"healed": 2.0, "note": "n"}}) == {"part/a": Entry(2, "n")}
