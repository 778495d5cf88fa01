"""Questions to whoever sits at the terminal, asked again until they are answered."""

from __future__ import annotations

import getpass
from collections.abc import Callable

from .errors import OperationError


def ask(text: str, wrong: Callable[[str], str | None] = lambda _: None) -> str:
    """An answer without the blanks around it.

    Arguments: `wrong`, why an answer cannot be taken, or None; it is then said, and asked again.
    Raises OperationError when the input ends.
    """
    while True:
        answer = _answered(input, f"  {text}: ").strip()
        reason = wrong(answer)
        if reason is None:
            return answer
        print(f"    {reason}")


def ask_secret(text: str) -> str:
    """An answer that is not shown. Raises OperationError when the input ends."""
    return _answered(getpass.getpass, f"  {text}: ")


def ask_word(text: str, *words: str) -> str:
    """One of some words. Raises OperationError when the input ends."""
    allowed = f"{', '.join(words[:-1])} or {words[-1]}"
    return ask(f"{text} Type {allowed}", lambda said: None if said in words else f"allowed: {allowed}")


def _answered(read: Callable[[str], str], prompt: str) -> str:
    try:
        return read(prompt)
    except EOFError:
        print()
        raise OperationError(
            "the input ended before the question was answered; type the command again"
        ) from None
