"""Addresses of crypto currencies by their own checksums: Base58Check, bech32 and bech32m, EIP-55."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

_BASE58 = {char: value for value, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {char: value for value, char in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def base58(text: str) -> bool:
    """Base58Check: the last four bytes are the double SHA-256 of the rest (Bitcoin, Litecoin, Dogecoin, Tron)."""
    number = 0
    for char in text:
        value = _BASE58.get(char)
        if value is None:
            return False
        number = number * 58 + value
    if number >= 1 << 200:
        return False
    raw = number.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def bech32(text: str) -> bool:
    """BIP 173 and BIP 350: the polymod of prefix and data is 1 (bech32) or 0x2bc830a3 (bech32m)."""
    lower = text.lower()
    if text not in {lower, text.upper()}:
        return False
    prefix, _, data = lower.rpartition("1")
    if any(char not in _BECH32 for char in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32[c] for c in data]
    return _polymod(values) in {1, 0x2BC830A3}


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                check ^= generator
    return check


_ROUNDS = (
    0x1,
    0x8082,
    0x800000000000808A,
    0x8000000080008000,
    0x808B,
    0x80000001,
    0x8000000080008081,
    0x8000000000008009,
    0x8A,
    0x88,
    0x80008009,
    0x8000000A,
    0x8000808B,
    0x800000000000008B,
    0x8000000000008089,
    0x8000000000008003,
    0x8000000000008002,
    0x8000000000000080,
    0x800A,
    0x800000008000000A,
    0x8000000080008081,
    0x8000000000008080,
    0x80000001,
    0x8000000080008008,
)
_MASK = (1 << 64) - 1


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK if by else value


def _permuted(state: list[int]) -> list[int]:
    """Keccak-f[1600] (FIPS 202 section 3.3) on 25 lanes, index x + 5y."""
    for constant in _ROUNDS:
        columns = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        mixed = [columns[(x - 1) % 5] ^ _rotated(columns[(x + 1) % 5], 1) for x in range(5)]
        state = [lane ^ mixed[i % 5] for i, lane in enumerate(state)]
        moved = [0] * 25
        x, y, current = 1, 0, state[1]
        moved[0] = state[0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            following = state[x + 5 * y]
            moved[x + 5 * y] = _rotated(current, (step + 1) * (step + 2) // 2 % 64)
            current = following
        state = [
            moved[i] ^ (~moved[(i + 1) % 5 + i // 5 * 5] & moved[(i + 2) % 5 + i // 5 * 5] & _MASK) for i in range(25)
        ]
        state[0] ^= constant
    return state


def keccak256(message: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (padding 0x01, not SHA-3's 0x06); for messages under 136 bytes."""
    block = bytearray(136)
    block[: len(message)] = message
    block[len(message)] ^= 0x01
    block[135] ^= 0x80
    lanes = [int.from_bytes(block[i : i + 8], "little") for i in range(0, 136, 8)] + [0] * 8
    return b"".join(lane.to_bytes(8, "little") for lane in _permuted(lanes)[:4])


def eip55(text: str) -> bool:
    """EIP-55: in mixed case, a letter is upper where the hash of the lower-case address has a nibble of 8 or more."""
    address = text[2:]
    lower = address.lower()
    if address in {lower, address.upper()}:
        return len(set(lower)) > 4
    nibbles = keccak256(lower.encode()).hex()
    return all(c.isdigit() or c.isupper() == (n >= "8") for c, n in zip(address, nibbles, strict=False))


VALIDATORS: Mapping[str, Callable[[str], bool]] = {"base58": base58, "bech32": bech32, "eip55": eip55}
