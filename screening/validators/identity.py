"""National numbers, checked by python-stdnum where the number has a check digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from types import ModuleType

from stdnum import luhn, verhoeff
from stdnum.ar import cuit
from stdnum.at import vnr
from stdnum.au import abn, acn, tfn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.do import cedula
from stdnum.ec import ci
from stdnum.ee import ik
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nif, nir
from stdnum.gb import nhs, utr
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.id import nik
from stdnum.ie import pps
from stdnum.il import idnr as il_idnr
from stdnum.is_ import kennitala
from stdnum.it import codicefiscale
from stdnum.jp import in_
from stdnum.kr import rrn
from stdnum.lt import asmens
from stdnum.mx import curp, rfc
from stdnum.my import nric
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.nz import ird
from stdnum.pe import cui
from stdnum.pk import cnic
from stdnum.pl import pesel
from stdnum.pt import cc
from stdnum.ro import cnp
from stdnum.ru import inn
from stdnum.se import orgnr, personnummer
from stdnum.si import emso
from stdnum.th import pin
from stdnum.tr import tckimlik
from stdnum.ua import rntrc
from stdnum.za import idnr as za_idnr

from screening.validators.payment import digits


def ssn(text: str) -> bool:
    """Area not 000, 666 or 900 and up; group not 00; serial not 0000; not a number from an advertisement."""
    number = digits(text)
    if len(number) != 9 or number in {"078051120", "219099999", "123456789"} or len(set(number)) == 1:
        return False
    return number[:3] not in {"000", "666"} and number[0] != "9" and number[3:5] != "00" and number[5:] != "0000"


def itin(text: str) -> bool:
    """An IRS taxpayer number: 9xx, middle group in the ranges that are given out."""
    number = digits(text)
    if len(number) != 9 or number[0] != "9":
        return False
    group = int(number[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99


def day(text: str) -> bool:
    """Digits that make a date of a living person's birth, in any common order; the month may be a word."""
    parts = "".join(c if c.isdigit() else " " for c in text).split()
    if len(parts) == 1 and len(parts[0]) == 8:
        parts = [parts[0][:4], parts[0][4:6], parts[0][6:]]
    groups = [int(part) for part in parts]
    if len(groups) == 2 and any(char.isalpha() for char in text):
        return 1 <= groups[0] <= 31 and 1900 <= groups[1] <= 2035
    return len(groups) == 3 and any(_past(*order) for order in _orders(*groups))


def _orders(a: int, b: int, c: int) -> tuple[tuple[int, int, int], ...]:
    return ((a, b, c), (c, b, a), (c, a, b))


def _past(year: int, month: int, day_of_month: int) -> bool:
    full = year if year > 99 else 1900 + year
    try:
        born = date(full, month, day_of_month)
    except ValueError:
        return False
    return 1900 <= born.year <= 2035


def npi(text: str) -> bool:
    """US national provider identifier: ten digits, Luhn with the prefix 80840."""
    number = digits(text)
    return len(number) == 10 and number[0] in "12" and bool(luhn.is_valid("80840" + number))


def aadhaar(text: str) -> int:
    """Twelve digits, the first 2 to 9, Verhoeff checksum, not a palindrome; how much of `text` the first one is.

    More groups behind it must be further such numbers: three groups of a card or a bank account are none.
    """
    number = digits(text)
    if len(number) % 12 or not all(map(_is_aadhaar, (number[i : i + 12] for i in range(0, len(number), 12)))):
        return 0
    count = 0
    for place, char in enumerate(text):
        count += "0" <= char <= "9"
        if count == 12:
            return place + 1
    return 0


def _is_aadhaar(number: str) -> bool:
    return number[0] > "1" and number != number[::-1] and bool(verhoeff.is_valid(number))


_NINO_PREFIXES = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})


def nino(text: str) -> bool:
    """UK national insurance number: the prefixes that HMRC never gives out are refused."""
    return text[:2].upper() not in _NINO_PREFIXES


def fin(text: str) -> bool:
    """Singapore NRIC and FIN: weighted sum of the digits, letter by series."""
    series, number, letter = text[0].upper(), text[1:8], text[8].upper()
    total = sum(int(d) * w for d, w in zip(number, (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(series, 0)
    if series == "M":
        return "KLJNPQRTUWX"[10 - total % 11] == letter
    return ("JZIHGFEDCBA" if series in "ST" else "XWUTRQPNMLK")[total % 11] == letter


_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10), *range(10)), strict=True)
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin(text: str) -> bool:
    """ISO 3779 with the North American check digit in the ninth place."""
    remainder = sum(_VIN_VALUES[c] * w for c, w in zip(text, _VIN_WEIGHTS, strict=True)) % 11
    return text[8] == "0123456789X"[remainder]


def _library(module: ModuleType) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        return bool(module.is_valid(text))

    return check


_MODULES: Mapping[str, ModuleType] = {
    "at_vnr": vnr, "au_abn": abn, "au_acn": acn, "au_tfn": tfn, "be_nn": nn, "br_cpf": cpf, "ca_sin": sin,
    "ch_ahv": ahv, "cn_ric": ric, "cz_rc": rc, "de_idnr": idnr, "dk_cpr": cpr, "es_dni": dni, "es_nie": nie,
    "fi_hetu": hetu, "fr_nir": nir, "gb_nhs": nhs, "it_cf": codicefiscale, "kr_rrn": rrn, "mx_curp": curp,
    "nl_bsn": bsn, "no_fnr": fodselsnummer, "pl_pesel": pesel, "pt_cc": cc, "ro_cnp": cnp, "se_org": orgnr,
    "se_pnr": personnummer, "th_pin": pin, "tr_tckn": tckimlik, "za_id": za_idnr,
}  # fmt: skip

_NAMED = (
    egn, rut, oib, pps, il_idnr, kennitala, amka, cnic, nric, nik, cedula, cuit, emso, ik, asmens, rntrc, inn, rfc, cpf,
    nn, rc, nif, bsn, ird, utr, cui, ci, in_, personnummer,
)  # fmt: skip


def named_id(text: str) -> bool:
    """A number of one of the countries whose numbers are only told by the word beside them."""
    return sum(map(str.isalnum, text)) >= 8 and any(module.is_valid(text) for module in _NAMED)


VALIDATORS: Mapping[str, Callable[[str], int]] = {
    "named_id": named_id,
    "ssn": ssn,
    "itin": itin,
    "day": day,
    "npi": npi,
    "aadhaar": aadhaar,
    "gb_nino": nino,
    "sg_fin": fin,
    "vin": vin,
    **{name: _library(module) for name, module in _MODULES.items()},
}
