"""What stands in the place of a value."""

from __future__ import annotations

import re
import string

import pytest

from operations.data.kinds import ARABIC, PASSWORD_HASH, DoesNotFit, Place, Replacer

ONE = Replacer(b"1" * 32)
ANY = Place()


def test_the_same_address_becomes_the_same_in_whatever_letters_and_another_in_the_next_run() -> None:
    made = ONE.email("Amina@Example.org", ANY)
    assert made == ONE.email("amina@example.ORG ", Place(100, True))
    assert made != ONE.email("amina@example.net", ANY)
    assert made != Replacer().email("Amina@Example.org", ANY)
    assert re.fullmatch(r"[a-z2-7]{16}@example\.com", made)


def test_an_address_fits_its_column_or_is_refused() -> None:
    assert len(ONE.email("a@b.co", Place(24))) == 24
    with pytest.raises(DoesNotFit, match="needs 22 characters, the column has 20"):
        ONE.email("a@b.co", Place(20))


@pytest.mark.parametrize("name", ["أمينة الصديق", "محمد", "عبد الله بن عمر"])
def test_arabic_names_stay_arabic_and_of_as_many_words(name: str) -> None:
    made = ONE.name(name, ANY)
    assert made != name
    assert len(made.split()) == len(name.split())
    assert all(ARABIC.search(word) for word in made.split())


def test_a_name_fits_and_is_the_only_one_where_it_has_to_be() -> None:
    assert len(ONE.name("Amina bint Omar al-Siddiq", Place(9))) <= 9
    names = {ONE.name(f"Person Number{number}", Place(40, True)) for number in range(20_000)}
    assert len(names) == 20_000
    short = {ONE.name(f"person{number}", Place(10, True)) for number in range(20_000)}
    assert len(short) == 20_000
    assert all(len(name) <= 10 and " " not in name for name in short)


def test_no_name_becomes_itself() -> None:
    first, last = ["Adam", "Alan", "Anna", "Karim", "Zoe"], ["Abbot", "Smith", "Zidan"]
    for number in range(200):
        replacer = Replacer(bytes([number]) * 32)
        assert all(replacer.name(f"{a} {b}", ANY) != f"{a} {b}" for a in first for b in last)


@pytest.mark.parametrize("forms", [("+966 50 123 4567", "0501234567", "00966-501234567", "+966(50)1234567")])
def test_a_phone_number_keeps_shape_and_beginning_in_every_way_of_writing(forms: tuple[str, ...]) -> None:
    made = [ONE.phone(form, ANY) for form in forms]
    assert len({"".join(filter(str.isdigit, number))[-7:] for number in made}) == 1
    for form, number in zip(forms, made, strict=True):
        assert re.sub(r"\d", "0", number) == re.sub(r"\d", "0", form)
        assert number[:3] == form[:3]
        assert number != form


def test_phone_numbers_are_permuted_without_a_fixed_point() -> None:
    for digits in (1, 2, 3, 4):
        numbers = [f"{number:0{digits}}" for number in range(10**digits)]
        made = [ONE.phone(number, ANY) for number in numbers]
        assert sorted(made) == numbers
        assert not any(a == b for a, b in zip(made, numbers, strict=True))
    assert len({ONE.phone(f"+96650{number:07}", ANY) for number in range(50_000)}) == 50_000


def test_arabic_digits_stay_arabic() -> None:
    made = ONE.phone("٠٥٠١٢٣٤٥٦٧", ANY)
    assert all("٠" <= digit <= "٩" for digit in made)
    assert [int(digit) for digit in made] == [int(digit) for digit in ONE.phone("0501234567", ANY)]


@pytest.mark.parametrize(
    "token", ["aB3$-x9" * 9, "0" * 12 + "1", "9e107d9d372bb6826bd81d3542a419d6", "1029384756"]
)
def test_a_token_is_as_long_and_of_the_same_characters(token: str) -> None:
    made = ONE.token(token, ANY)
    assert made != token
    assert len(made) == len(token)
    for before, after in zip(token, made, strict=True):
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        hexadecimal = not re.search(r"[g-zA-Z]", token) and re.search("[a-f]", token)
        if hexadecimal and before in string.hexdigits:
            assert after in string.hexdigits.lower()
        else:
            assert after == before if not before.isalnum() else any(before in k and after in k for k in kinds)


def test_text_is_as_long_and_says_nothing() -> None:
    for text in ("Dear Dr. Amina, my number is 0501234567.", "اتصل بي على الرقم 0501234567", "x"):
        made = ONE.text(text, ANY)
        assert len(made) == len(text)
        assert "Amina" not in made
        assert "1234567" not in made
        assert bool(ARABIC.search(made)) == bool(ARABIC.search(text))


def test_addresses_lead_nowhere_and_days_stay_in_their_year() -> None:
    assert re.fullmatch(r"198\.1[89]\.\d+\.\d+", ONE.ip("203.0.113.9", ANY))
    assert ONE.ip("2a02:4780::1", ANY).startswith("2001:db8:")
    assert re.fullmatch(r"1987-(0[1-9]|1[0-2])-[0-2]\d 10:00:00", ONE.date("1987-12-31 10:00:00", ANY))


def test_a_password_is_the_known_one_and_needs_its_room() -> None:
    assert ONE.password("anything", Place(255)) == PASSWORD_HASH
    assert len(PASSWORD_HASH) == 60
    with pytest.raises(DoesNotFit):
        ONE.password("anything", Place(40))
