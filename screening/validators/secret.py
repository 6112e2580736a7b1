"""Whether a string looks random enough to be a secret rather than a word, a path or a placeholder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

_PLACEHOLDERS = (
    "example",
    "placeholder",
    "changeme",
    "your",
    "xxxx",
    "****",
    "redacted",
    "dummy",
    "<",
    "{",
    "$(",
    "${",
)


def entropy(text: str) -> float:
    """Shannon entropy in bits per character; 0 for the empty string."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def _value(text: str) -> str:
    """What stands behind the last `=` or `:` of an assignment, without quotes."""
    for mark in ("=", ":"):
        head, found, tail = text.partition(mark)
        if found and len(head) < 40:
            return tail.strip(" \t\"'`>")
    return text.strip(" \t\"'`").rsplit(" ", 1)[-1].strip("\"'`")


_POSITIONS = ("next", "pag", "continuation", "cursor", "idempoten", "sync")
"""In the name of a token that says where to go on, or which request it was, and opens nothing."""


def random_looking(text: str) -> bool:
    """At least 3 bits per character over 12 or more characters, with digits and letters, and no placeholder."""
    name = text.replace(":", "=").partition("=")[0].lower()
    if "token" in name and any(word in name for word in _POSITIONS):
        return False
    value = _value(text)
    lower = value.lower()
    if len(value) < 12 or any(mark in lower for mark in _PLACEHOLDERS):
        return False
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and entropy(value) >= 3.0


def not_placeholder(text: str) -> bool:
    """A value of six or more characters that nobody wrote as a stand-in."""
    return _is_chosen(_value(text))


def _is_chosen(value: str) -> bool:
    lower = value.lower()
    return len(value) >= 6 and len(set(value)) > 3 and not any(mark in lower for mark in _PLACEHOLDERS)


def mixed(text: str) -> bool:
    """A token with upper and lower case or digits in it, not a hyphenated word."""
    return sum(char.isdigit() for char in text) >= 2 and entropy(text) >= 3.0


_WORDS = frozenset(
    [
        "required",
        "incorrect",
        "invalid",
        "wrong",
        "correct",
        "missing",
        "expired",
        "stored",
        "hashed",
        "encrypted",
        "protected",
        "reset",
    ]
)


_NAMES = frozenset(["password", "passwd", "pwd", "passphrase", "passwort", "kennwort", "passe", "contraseña", "senha"])


def password_like(text: str) -> bool:
    """What stands after the verb looks chosen: digits or marks among letters, and not a word about passwords."""
    said = _password(text)
    value = said.rstrip(".,;!?)")
    if any(name in value.lower() for name in _NAMES):
        return False  # a pattern that looks for passwords
    return value.lower() not in _WORDS and _is_chosen(value) and not value.isalpha() and not _is_code(said)


def _is_code(value: str) -> bool:
    """`Optional[str]`, `load(name)`, `self.given`, `load(names[`: what a program does, no word that somebody chose."""
    value = value.rstrip(".,;:!?")
    if value.endswith(("(", "[")):
        return True
    names = value.replace("(", "[").partition("[")[0]
    if any(char.isdigit() for char in names) or not names.replace(".", "_").isidentifier():
        return False
    return value.endswith((")", "]")) if names != value else names.startswith(("self.", "this.", "os.", "cls."))


def _password(text: str) -> str:
    """What follows the first `=` or `:` if that is the verb, else the last word; it may have such marks itself."""
    place = min((place for place in map(text.find, "=:") if place >= 0), default=len(text))
    words = text[:place].split()
    verb = place < len(text) and bool(words) and words[-1].lower() in _NAMES
    return (text[place + 1 :] if verb else text.rsplit(maxsplit=1)[-1]).strip(" \t\"'`")


def credentials(text: str) -> bool:
    """A connection string whose password is not a stand-in."""
    password = text.rpartition("@")[0].rpartition(":")[2]
    lower = password.lower()
    return (
        bool(password)
        and lower not in {"password", "pass", "pwd", "secret"}
        and not any(mark in lower for mark in _PLACEHOLDERS)
    )


VALIDATORS: Mapping[str, Callable[[str], bool]] = {
    "random": random_looking,
    "not_placeholder": not_placeholder,
    "credentials": credentials,
    "mixed": mixed,
    "password_like": password_like,
}
