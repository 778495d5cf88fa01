"""What texts and numbers are allowed, in the words of the official plugin."""

import base64
import binascii
import re
from typing import Any

from tools.plugins.docker.durations import nanoseconds
from tools.plugins.docker.fields import Validator


def matches(pattern: str) -> Validator:
    """Return a check that a text matches a regular expression."""

    def check(value: Any) -> str | None:
        return None if re.search(pattern, value) else f"'{value}' doesn't match the pattern '{pattern}'"

    return check


def at_least(minimum: int) -> Validator:
    """Return a check that a number is not too small."""

    def check(value: Any) -> str | None:
        return None if value >= minimum else f"'{value}' must be greater than or equal to {minimum}"

    return check


def is_absolute_path(value: Any) -> str | None:
    """Check that a text is an absolute path, of Linux or Windows."""
    return None if re.search(r"^[a-zA-Z]:\\|^/|^\\\\", value) else f"'{value}' must be an absolute path"


def is_duration(value: Any) -> str | None:
    """Check that a text is a duration, such as 1m30s, and not negative."""
    try:
        nanoseconds(value)
    except ValueError as error:
        return str(error)
    return None


def is_base64(value: Any) -> str | None:
    """Check that a text is base64."""
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return f"'{value[:20]}' is not base64 encoded"
    return None
