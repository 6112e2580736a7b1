"""Cards by Luhn and issuer range, bank accounts by mod 97, US routing numbers by their checksum."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stdnum import iban as iban_numbers

# Issuer ranges (first digits, lengths), ISO/IEC 7812 as published by the networks: Visa, Mastercard (with 2221-2720),
# Amex, Discover, Diners, JCB, UnionPay, Maestro, Mir, RuPay, Elo, Troy, Verve, Uzcard,
# Humo, UATP.
_RANGES: tuple[tuple[int, int, int, frozenset[int]], ...] = (
    (1, 4, 4, frozenset({13, 16, 19})),
    (2, 51, 55, frozenset({16})),
    (4, 2221, 2720, frozenset({16})),
    (2, 34, 34, frozenset({15})),
    (2, 37, 37, frozenset({15})),
    (4, 6011, 6011, frozenset({16, 19})),
    (3, 644, 649, frozenset({16, 19})),
    (2, 65, 65, frozenset({16, 19})),
    (6, 622126, 622925, frozenset({16, 19})),
    (3, 300, 305, frozenset({14, 16})),
    (4, 3095, 3095, frozenset({14, 16})),
    (2, 36, 36, frozenset({14, 16})),
    (2, 38, 39, frozenset({14, 16})),
    (4, 3528, 3589, frozenset({16, 17, 18, 19})),
    (4, 1800, 1800, frozenset({15})),
    (4, 2131, 2131, frozenset({15})),
    (2, 62, 62, frozenset({16, 17, 18, 19})),
    (2, 81, 82, frozenset({16})),
    (2, 50, 50, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (2, 56, 58, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (2, 60, 60, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (2, 63, 63, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (2, 67, 69, frozenset({13, 14, 15, 16, 17, 18, 19})),
    (4, 2200, 2204, frozenset({16, 17, 18, 19})),
    (4, 9792, 9792, frozenset({16})),
    (4, 8600, 8600, frozenset({16})),
    (4, 9860, 9860, frozenset({16})),
    (1, 1, 1, frozenset({15})),
)


_DIGITS = frozenset("0123456789")


def digits(text: str) -> str:
    """The decimal digits of `text`, nothing else."""
    return "".join(filter(_DIGITS.__contains__, text))


_DOUBLED = str.maketrans("0123456789", "0246813579")


def _luhn(number: str) -> bool:
    return (sum(map(int, number[-1::-2])) + sum(map(int, number[-2::-2].translate(_DOUBLED)))) % 10 == 0


def card(text: str) -> int:
    """A number of a length its issuer uses, whose Luhn digit is right; how many bytes of `text` it is.

    An expiry date behind the number looks like a last group of it, which is then left out.
    """
    whole = text.rstrip()
    cut = max(whole.rfind(" "), whole.rfind("."), 0)
    return next((len(part.encode()) for part in (whole, whole[:cut]) if _is_card(digits(part))), 0)


def _is_card(number: str) -> bool:
    length = len(number)
    if not 13 <= length <= 19 or len(set(number)) < 2:
        return False
    return _luhn(number) and any(lo <= int(number[:n]) <= hi and length in sizes for n, lo, hi, sizes in _RANGES)


def iban(text: str) -> int:
    """ISO 13616: a known country, its length and structure, remainder 1 modulo 97; how much of `text` is the IBAN.

    Words after the number can look like more groups of it, so the end is moved back a group at a time.
    """
    end = len(text)
    while end >= 15:
        part = text[:end]
        if text[end - 1].isalnum() and _remainder(part) == 1 and iban_numbers.is_valid(part, check_country=False):
            return len(part.encode())
        end = next((place for place in range(end - 1, 0, -1) if not text[place].isalnum()), 0)
    return 0


_AS_DIGITS = str.maketrans({chr(code): str(int(chr(code), 36)) for code in (*range(65, 91), *range(97, 123))})


def _remainder(text: str) -> int:
    """Modulo 97 of the number with its first four characters at the end, and letters as 10 to 35."""
    compact = "".join(filter(str.isalnum, text))
    return int((compact[4:] + compact[:4]).translate(_AS_DIGITS)) % 97 if compact.isascii() else 0


def routing(text: str) -> bool:
    """ABA routing transit number: weights 3, 7, 1, and a first pair that the Federal Reserve assigned."""
    number = digits(text)
    if len(number) != 9 or not (
        number[:2] <= "12" or "21" <= number[:2] <= "32" or "61" <= number[:2] <= "72" or number[:2] == "80"
    ):
        return False
    return number != "000000000" and sum(int(d) * w for d, w in zip(number, (3, 7, 1) * 3, strict=True)) % 10 == 0


VALIDATORS: Mapping[str, Callable[[str], int]] = {"card": card, "iban": iban, "routing": routing}
