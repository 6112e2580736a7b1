"""What placeholders stand for, encrypted with a key of the tenant: AES-256-GCM, keys by HKDF-SHA256 (RFC 5869)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from screening.digest import bound, digest_of

_NONCE, _LEAST = 12, 30
_TENANTS = 1024


class UnsealError(ValueError):
    """It was sealed with another key, for another session, or changed since."""


@dataclass(frozen=True, slots=True)
class _Keys:
    cipher: AESGCM
    tag: bytes
    digest: bytes


class Sealer:
    """Seals and opens values; `secrets` are of at least 30 bytes, the first seals, all open (so keys can be changed).

    What is sealed is bound to its tenant, session and kind; `tag` tells equal values of one session apart from others
    without opening them.
    """

    def __init__(self, *secrets: bytes) -> None:
        if not secrets or min(map(len, secrets)) < _LEAST:
            raise ValueError("a sealing key has at least 30 bytes")
        self._secrets = {hashlib.sha256(secret).hexdigest()[:8]: secret for secret in secrets}
        self._first = next(iter(self._secrets))
        self._keys = lru_cache(_TENANTS)(self._derived)

    @classmethod
    def of(cls, keys: str) -> Sealer:
        """From base64 (URL-safe or not) keys with commas between them, the newest first; raises ValueError."""
        texts = [key.strip() for key in keys.split(",") if key.strip()]
        return cls(*(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_") for text in texts))

    def tag(self, tenant: str, session: str, kind: str, value: str) -> str:
        """32 hex digits, the same for the same value of a session under the first key."""
        return hmac.new(self._keys(self._first, tenant).tag, bound(session, kind, value), "sha256").hexdigest()[:32]

    def digest(self, tenant: str, kind: str, value: str) -> str:
        """16 hex digits, the same for the same value of a tenant under the first key, in all of its sessions."""
        return digest_of(self._keys(self._first, tenant).digest, kind, value)

    def seal(self, tenant: str, session: str, kind: str, value: str) -> str:
        """The value encrypted, as text; never the same twice."""
        nonce = os.urandom(_NONCE)
        sealed = self._keys(self._first, tenant).cipher.encrypt(nonce, value.encode(), bound(session, kind))
        return f"{self._first}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, tenant: str, session: str, kind: str, sealed: str) -> str:
        """The value. Raises UnsealError."""
        key, _, text = sealed.partition(".")
        if key not in self._secrets:
            raise UnsealError("sealed with a key that is not known here")
        try:
            raw = base64.urlsafe_b64decode(text)
            return self._keys(key, tenant).cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound(session, kind)).decode()
        except (InvalidTag, ValueError) as error:
            raise UnsealError("not what was sealed for this tenant and session") from error

    def secrets_for(self, tenant: str, *purpose: str) -> tuple[bytes, ...]:
        """Secrets of 32 bytes for one purpose of a tenant, of each key one: they need to be kept nowhere."""
        purposes = bound("secret", tenant, *purpose)
        return tuple(_derive(secret, b"ganglion/secret/" + purposes) for secret in self._secrets.values())

    def _derived(self, key: str, tenant: str) -> _Keys:
        secret = self._secrets[key]
        cipher, tag, digest = (_derive(secret, f"ganglion/{one}/{tenant}".encode()) for one in ("seal", "tag", "hash"))
        return _Keys(AESGCM(cipher), tag, digest)


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


def kind_of(name: str) -> str:
    """`EMAIL` of `EMAIL_2`."""
    return name.rpartition("_")[0]


def reveal(text: str, values: Mapping[str, str]) -> str:
    """The text with each known placeholder replaced by what it stands for; what is put in is not looked at again."""
    parts = text.split("[")
    result = [parts[0]]
    for part in parts[1:]:
        name, bracket, rest = part.partition("]")
        result.append(values[name] + rest if bracket and name in values else "[" + part)
    return "".join(result)
