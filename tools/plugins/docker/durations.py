"""Times as Docker's own language writes them: 300ms, 1m30s, 1.5h (time.ParseDuration, Duration.String)."""

import re
from decimal import Decimal

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)"


def nanoseconds(text: str) -> int:
    """Return the length of a duration.

    Raises:
        ValueError: it is not one, or is negative.
    """
    if text == "0":
        return 0
    if not re.fullmatch(f"\\+?(?:{_PART})+", text):
        raise ValueError(f"'{text}' is not a valid duration")
    return int(sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in re.findall(_PART, text)))


def duration(length: int) -> str:
    """Return nanoseconds as text: 0s, 200ms, 1m30s."""
    if length == 0:
        return "0s"
    if length < _NANOSECONDS["s"]:
        unit = next(unit for unit in ("ms", "µs", "ns") if length >= _NANOSECONDS[unit])
        return _number(Decimal(length) / _NANOSECONDS[unit]) + unit
    minutes, rest = divmod(length, _NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    text = _number(Decimal(rest) / _NANOSECONDS["s"]) + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _number(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
