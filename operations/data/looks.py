"""What looks personal: by the name of a column, by its type, by a value."""

from __future__ import annotations

import itertools
import re
from ipaddress import ip_address

# Words of a column's name, and the kind that is proposed for it.
WORDS = {
    "email": ("email", "mail", "emails"),
    "name": (
        "name",
        "names",
        "firstname",
        "lastname",
        "fullname",
        "username",
        "nickname",
        "surname",
        "login",
    ),
    "phone": ("phone", "phones", "mobile", "tel", "telephone", "fax", "whatsapp", "msisdn"),
    "token": (
        *("token", "secret", "otp", "pin", "iban", "passport", "iqama", "ssn", "cvv", "card", "signature"),
        *("national", "apikey", "hash", "fingerprint", "identity", "credential", "credentials"),
    ),
    "password": ("password", "passwd", "pwd"),
    "text": (
        *("address", "street", "city", "zip", "postcode", "postal", "bio", "about", "note", "notes"),
        *("comment", "comments", "message", "body", "content", "payload", "remark", "remarks", "agent"),
        *("location", "nationality", "employer", "avatar", "photo", "picture"),
    ),
    "ip": ("ip", "ips", "ipaddress"),
    "date": ("birth", "birthday", "birthdate", "dob"),
    "null": ("latitude", "longitude", "lat", "lng", "lon", "salary", "gender", "religion"),
}
BY_WORD = {word: kind for kind, words in WORDS.items() for word in words}
# Pairs of words that only together say it.
PAIRS = {("api", "key"): "token", ("private", "key"): "token", ("access", "key"): "token"}
# Types that hold no person: when something was, and yes or no.
HARMLESS = re.compile(r"(tinyint|bool|bit|timestamp|datetime|time|year|enum|set)\b")
# Types that hold what nobody can see from outside.
OPAQUE = re.compile(r"(tinytext|text|mediumtext|longtext|json|tinyblob|blob|mediumblob|longblob|varbinary)\b")
TEXT = re.compile(r"(char|varchar|binary)\b")
# Tables of frameworks whose rows a copy can do without.
DERIVED = re.compile(
    r"sessions|cache|cache_locks|jobs|job_batches|failed_jobs|password_resets|password_reset_tokens|"
    r"personal_access_tokens|telescope_\w+|pulse_\w+|activity_log|audits|notifications|oauth_\w+_(tokens|codes)"
)

EMAIL = re.compile(r"[^@\s'\"<>]+@[^@\s'\"<>]+\.[^\W\d_]{2,}")
NUMBER = re.compile(r"\+?[\d\s().\-/]{8,24}")
DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LONG = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_.|:$-]{32,}", re.DOTALL)
SLUG = re.compile(r"(\d+|[a-z]+)([_-](\d+|[a-z]+))+")
PROSE = re.compile(r"[^\W\d_][^\S\n]+[^\W\d_]|(?=[^\x00-\x7f])[^\W\d_]")
# One of these characters has to be there, or one of these lengths, before it is worth a closer look.
WORTH = re.compile(r"[@{\[:\s]|[^\x00-\x7f]|\d[\d\s().\-/]{6}|.{32}|\d\.\d", re.DOTALL)


def words_of(column: str) -> list[str]:
    """The words of a column's name: `firstName` and `first_name` have the same."""
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower())


def kind_by_name(column: str, type_: str) -> str | None:
    """The kind that a column's name proposes; None where it tells nothing."""
    if HARMLESS.match(type_):
        return None
    words = words_of(column)
    if words[-1:] == ["id"] and not {"national", "passport", "iqama", "identity"} & set(words):
        return None
    for pair, kind in PAIRS.items():
        if pair in itertools.pairwise(words):
            return kind
    # `ip_address` is one, and no address of a house
    kinds = [BY_WORD[word] for word in words if word in BY_WORD]
    return "ip" if "ip" in kinds else (kinds[-1] if kinds else None)


def kind_by_value(value: str) -> str | None:
    """The kind that a value looks like; None for what looks like no person: codes, slugs, class names."""
    if not WORTH.search(value):
        return None
    text = value.strip()
    if EMAIL.search(text):
        return "email"
    if DATE.fullmatch(text) or UUID.fullmatch(text) or (SLUG.fullmatch(text) and not NUMBER.fullmatch(text)):
        return None
    if _is_address(text):
        return "ip"
    if NUMBER.fullmatch(text) and sum(map(str.isdigit, text)) >= 8:
        return "phone"
    if text[:1] in "{[" or text[:2] in ("a:", "O:"):
        return "text"
    if LONG.fullmatch(text):
        return "token"
    return "name" if PROSE.search(text) else None


def _is_address(text: str) -> bool:
    if not 3 <= len(text) <= 45 or not (text.count(".") == 3 or text.count(":") >= 2):
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
