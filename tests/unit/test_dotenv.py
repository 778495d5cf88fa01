"""A .env as vlucas/phpdotenv 5 reads it; the cases are those of its own rules."""

from __future__ import annotations

import pytest

from operations.dotenv import UnreadableDotenv, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A=", ""),
        ("A = b ", "b"),
        ("export A=b", "b"),
        ("  A=b", "b"),
        ("'A'=b", "b"),
        ("A=b # a comment", "b"),
        ("A=b#c", "b"),
        ("A=#b", ""),
        ("A=b=c==", "b=c=="),
        ("A=base64:abc+/=", "base64:abc+/="),
        ("A=b\\c", "b\\c"),
        ("A=$B", "$B"),
        ("A=${B}", "${B}"),
        ("A='b c'", "b c"),
        ("A='b # c' # d", "b # c"),
        ("A='$B \\n ${C}'", "$B \\n ${C}"),
        ("A='b \"c\"'", 'b "c"'),
        ('A="b c"', "b c"),
        ('A="b # c"# d', "b # c"),
        ('A="b \\"c\\""', 'b "c"'),
        ('A="b\\\\"', "b\\"),
        ('A="\\$B"', "$B"),
        ('A="$B"', "$B"),
        ('A="b\\nc\\td"', "b\nc\td"),
        ('A="b\nc"', "b\nc"),
        ('A="b\n# c\n"', "b\n# c\n"),
        ('A=""', ""),
        ("A=b\nA=c", "c"),
        ("# A=b\n\n\t\nA=c", "c"),
        ("A=b\r\nB=c\r\n", "b"),
    ],
)
def test_a_value(text: str, value: str) -> None:
    assert parse(text)["A"] == value


def test_a_reference_is_the_value_of_an_earlier_entry() -> None:
    text = "HOST=x.test\nURL=https://${HOST}/\nQUOTED=\"${HOST} ${LATER}\"\nLATER=y\nPLAIN='${HOST}'"
    found = parse(text)
    assert found["URL"] == "https://x.test/"
    assert found["QUOTED"] == "x.test ${LATER}"
    assert found["PLAIN"] == "${HOST}"


def test_a_name_alone_gives_nothing() -> None:
    assert parse("A\nB=c") == {"B": "c"}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("A=sentinel c", 1),
        ("A='sentinel", 1),
        ('B=c\nA="sentinel\nD=e', 2),
        ('A="sentinel" c', 1),
        ('A="sentinel\\q"', 1),
        ("B=c\n\nA sentinel=b", 3),
    ],
)
def test_what_phpdotenv_refuses_is_refused_by_line_and_without_its_value(text: str, number: int) -> None:
    with pytest.raises(UnreadableDotenv, match=f"^line {number}: ") as refused:
        parse(text)
    assert "sentinel" not in str(refused.value)
