"""NATS' own keys and tokens: an account's Ed25519 key as an nkey, and the JWTs that it signs (NATS ADR-14, ADR-26)."""

import hashlib
import json
import time
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BinasciiError
from binascii import crc_hqx
from collections.abc import Mapping
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue, TypeAdapter, ValidationError

from events.errors import PermanentError

Claims = Mapping[str, JsonValue]

_SEED, _ACCOUNT = 18 << 3, 0
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_claims = TypeAdapter(dict[str, JsonValue])


class InvalidKeyError(PermanentError):
    """Neither the seed of a NATS account (SA…) nor a JWT of a NATS server."""

    code = "invalid_nkey"


class AccountKey:
    """The key pair of a NATS account: `seed` (SA…) is secret, `public` (A…) goes into the server's configuration."""

    def __init__(self, secret: Ed25519PrivateKey) -> None:
        self._secret = secret
        self.public = _encoded(bytes([_ACCOUNT]) + secret.public_key().public_bytes_raw())

    @classmethod
    def draw(cls) -> Self:
        """A new pair."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: str) -> Self:
        """The pair of a seed. Raises InvalidKeyError, which never repeats the seed."""
        try:
            raw = b32decode(seed.strip() + "=" * (-len(seed.strip()) % 8))
        except (BinasciiError, ValueError):
            raise InvalidKeyError from None
        kind, secret, check = raw[:2], raw[2:34], raw[34:]
        if kind != bytes([_SEED, _ACCOUNT << 3]) or len(secret) != 32 or check != _check(raw[:34]):
            raise InvalidKeyError
        return cls(Ed25519PrivateKey.from_private_bytes(secret))

    @property
    def seed(self) -> str:
        """The secret, as `from_seed` reads it."""
        return _encoded(bytes([_SEED, _ACCOUNT << 3]) + self._secret.private_bytes_raw())

    def sign(self, claims: Claims) -> str:
        """A JWT of this account: issuer, time of issue and id are added to the claims."""
        stamped: dict[str, JsonValue] = {**claims, "iss": self.public, "iat": int(time.time())}
        digest = hashlib.sha256(json.dumps(stamped).encode()).digest()
        stamped["jti"] = b32encode(digest).decode().rstrip("=")
        signed = f"{_part(_HEADER)}.{_part(stamped)}"
        return f"{signed}.{_base64(self._secret.sign(signed.encode()))}"


def unverified_claims(token: str) -> dict[str, JsonValue]:
    """What a JWT says, whoever signed it. Raises InvalidKeyError."""
    try:
        payload = token.split(".")[1]
        return _claims.validate_json(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, BinasciiError, ValueError, ValidationError):
        raise InvalidKeyError from None


def _encoded(raw: bytes) -> str:
    return b32encode(raw + _check(raw)).decode().rstrip("=")


def _check(raw: bytes) -> bytes:
    """CRC-16/XMODEM, little endian."""
    return crc_hqx(raw, 0).to_bytes(2, "little")


def _part(value: Claims) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
