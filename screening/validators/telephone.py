"""Telephone numbers by the numbering plans of the `phonenumbers` library."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import phonenumbers

from screening.validators.payment import digits


def _possible(text: str, region: str | None) -> bool:
    try:
        return bool(phonenumbers.is_possible_number(phonenumbers.parse(text, region)))
    except phonenumbers.NumberParseException:
        return False


def international(text: str) -> bool:
    """A number with its country code (`+`, `00` or `011`), of a length that country's plan allows."""
    number = text.strip()
    exit_code = next((code for code in ("011", "00") if number.startswith(code)), "")
    return _possible("+" + number[len(exit_code) :] if exit_code else number, None)


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
    if len(groups) >= 3 and _is_date(groups):
        return False
    return not (len(groups) == 2 and all(len(group) == 4 and group[:2] in {"19", "20"} for group in groups))


def _is_date(groups: list[str]) -> bool:
    """Year, month and day in front (a time may follow), or day, month and year."""
    sizes = [len(group) for group in groups[:3]]
    year_first = sizes[0] == 4 and groups[0][:2] in {"19", "20"} and max(sizes[1:]) <= 2
    return year_first or (sizes[2] == 4 and groups[2][:2] in {"19", "20"} and max(sizes[:2]) <= 2)


def _without_extension(text: str) -> str:
    return text.lower().partition("x")[0].partition("ext")[0]


def _groups(text: str) -> list[str]:
    return "".join(char if "0" <= char <= "9" else " " for char in text).split()


VALIDATORS: Mapping[str, Callable[[str], bool]] = {
    "phone_plus": international,
    "ten_digits": ten_digits,
    "phone_local": local,
}
