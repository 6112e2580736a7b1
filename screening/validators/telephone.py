"""Telephone numbers by the numbering plans of the `phonenumbers` library."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import phonenumbers

from screening.validators.payment import digits

_CUTS = 3
_LONGEST = 15


def _parsed(text: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None


def international(text: str) -> int:
    """A number with its country code (`+`, `00` or `011`), of a length that country's plan allows; how much it is.

    Numbers behind it look like more groups of it, so the end is moved back to a space. What begins with zeros and is no
    number of the plan, or shows no groups and could be any American one, is a serial number.
    """
    code = next((code for code in ("011", "00") if text.startswith(code)), "")
    end = len(text)
    for _ in range(_CUTS):
        part = _closed(text[:end])
        if len(digits(_without_extension(part))) <= _LONGEST + len(code):
            number = _parsed("+" + part[len(code) :] if code else part)
            if number and _is_meant(number, part, code) and phonenumbers.is_possible_number(number):
                return len(part.encode())
        end = text.rfind(" ", 0, end)
        if end < 0:
            return 0
    return 0


def _is_meant(number: phonenumbers.PhoneNumber, part: str, code: str) -> bool:
    """Whether zeros in front can be an exit code: the country's code has none behind it, or the plan has the number."""
    if not code:
        return True
    if part.isdecimal():
        return bool(number.country_code != 1 and phonenumbers.is_valid_number(number))
    national = digits(part)[len(code) + len(str(number.country_code)) :]
    return national[:1] != "0" or "(0" in part or bool(number.italian_leading_zero)


def _closed(text: str) -> str:
    """Without a bracket at the end that was opened before the number, and what is between numbers."""
    text = text.rstrip(" ./-")
    return text[:-1] if text.endswith(")") and text.count(")") > text.count("(") else text


def ten_digits(text: str) -> bool:
    """Ten digits, or eleven with the country code 1, before any extension: the written form decides, not the plan."""
    number = digits(_without_extension(text))
    return len(number.removeprefix("00").removeprefix("1")) == 10 or len(number) == 10


def local(text: str) -> bool:
    """Seven to thirteen digits before any extension, in groups that are not a date or a range of years."""
    body = _without_extension(text)
    groups = _groups(body)
    size = sum(len(group) for group in groups)
    if not 7 <= size <= 13 or len(set("".join(groups))) < 3:
        return False
    if (len(groups) >= 3 and _is_date(groups)) or (len(groups) == 1 and _is_day(groups[0])):
        return False
    if (len(groups) > 1 and all(group.endswith("00") for group in groups)) or _are_decimals(body):
        return False
    if len(groups) == 4 and [len(group) for group in groups] == [1, 3, 2, 4]:
        return False  # a digit before what is written as a social security number
    return not (len(groups) == 2 and all(len(group) == 4 and group[:2] in {"19", "20"} for group in groups))


def bare(text: str) -> bool:
    """As `local`, or the three pairs of digits of a small country."""
    return (len(text) == 8 and text.count(" ") == 2) or local(text)


def _is_day(group: str) -> bool:
    """Eight digits that are year, month and day."""
    return len(group) == 8 and group[:2] in {"19", "20"} and "01" <= group[4:6] <= "12" and "01" <= group[6:] <= "31"


def _are_decimals(body: str) -> bool:
    """Two numbers with two places behind the point, or two times of a day."""
    parts = body.replace("-", " ").split()
    return len(parts) == 2 and all(part[-3:-2] == "." and part.count(".") == 1 for part in parts)


def _is_date(groups: list[str]) -> bool:
    """Year, month and day in front (a time may follow), or day, month and year."""
    sizes = [len(group) for group in groups[:3]]
    year_first = sizes[0] == 4 and groups[0][:2] in {"19", "20"} and max(sizes[1:]) <= 2
    return year_first or (sizes[2] == 4 and groups[2][:2] in {"19", "20"} and max(sizes[:2]) <= 2)


def _without_extension(text: str) -> str:
    return text.lower().partition("x")[0].partition("e")[0].partition("#")[0]


def _groups(text: str) -> list[str]:
    return "".join(char if "0" <= char <= "9" else " " for char in text).split()


VALIDATORS: Mapping[str, Callable[[str], int]] = {
    "phone_plus": international,
    "ten_digits": ten_digits,
    "phone_local": local,
    "phone_bare": bare,
}
