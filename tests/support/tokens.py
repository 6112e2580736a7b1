"""Tokens of every kind that must be refused."""

import base64
import json
import time
from collections.abc import Callable

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from pydantic import JsonValue

from tests.support.running_gateway import SECRET

Claims = dict[str, JsonValue]


def claims(**changed: JsonValue) -> Claims:
    """Good claims, with some changed; a changed None takes the claim away."""
    good: Claims = {
        "sub": "alice",
        "tenant": "acme",
        "scope": "tasks:read tasks:write",
        "iss": "ganglion",
        "aud": "ganglion",
        "exp": int(time.time()) + 600,
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(header: Claims | None = None, *, key: str = SECRET, **changed: JsonValue) -> str:
    """A correctly signed HS256 token."""
    return jwt.encode(claims(**changed), key, algorithm="HS256", headers=header)


def raw(header: object, payload: object, signature: str = "") -> str:
    """A token put together by hand."""
    return f"{_part(header)}.{_part(payload)}.{signature}"


def _part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def resigned(header: object, payload: bytes) -> str:
    """A hand-made header and payload with a good signature."""
    import hashlib  # noqa: PLC0415 - only here
    import hmac  # noqa: PLC0415 - only here

    start = f"{_part(header)}.{_part(payload)}"
    digest = hmac.new(SECRET.encode(), start.encode(), hashlib.sha256).digest()
    return f"{start}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


RSA: RSAPrivateKey = generate_private_key(public_exponent=65_537, key_size=2_048)
RSA_PEM = (
    RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)

HS = {"alg": "HS256", "typ": "JWT"}

REFUSED: dict[str, Callable[[], str]] = {
    "alg none": lambda: raw({"alg": "none", "typ": "JWT"}, claims()),
    "alg None": lambda: raw({"alg": "None", "typ": "JWT"}, claims()),
    "alg nOnE": lambda: raw({"alg": "nOnE", "typ": "JWT"}, claims()),
    "no alg": lambda: raw({"typ": "JWT"}, claims()),
    "empty signature": lambda: signed().rpartition(".")[0] + ".",
    "cut signature": lambda: signed()[:-6],
    "foreign signature": lambda: signed(key="y" * 64),
    "another algorithm": lambda: jwt.encode(claims(), SECRET, algorithm="HS512"),
    "RS256 towards a secret": lambda: jwt.encode(claims(), RSA, algorithm="RS256"),
    "expired": lambda: signed(exp=int(time.time()) - 60),
    "not yet valid": lambda: signed(nbf=int(time.time()) + 600),
    "no exp": lambda: signed(exp=None),
    "exp as text": lambda: signed(exp="soon"),
    "no sub": lambda: signed(sub=None),
    "sub as number": lambda: signed(sub=7),
    "sub with a wildcard": lambda: signed(sub="*"),
    "sub with a dot": lambda: signed(sub="a.b"),
    "sub that ends in a newline": lambda: signed(sub="alice\n"),
    "empty sub": lambda: signed(sub=""),
    "no tenant": lambda: signed(tenant=None),
    "tenant with a wildcard": lambda: signed(tenant=">"),
    "tenant of our own agents": lambda: signed(tenant="_"),
    "wrong audience": lambda: signed(aud="other"),
    "no audience": lambda: signed(aud=None),
    "wrong issuer": lambda: signed(iss="other"),
    "no issuer": lambda: signed(iss=None),
    "wrong type": lambda: signed({"typ": "dpop+jwt"}),
    "critical extension": lambda: signed({"crit": ["exp"]}),
    "scope as list": lambda: signed(scope=["tasks:read"]),
    "key id that walks": lambda: raw({**HS, "kid": "../../dev/null"}, claims()),
    "key in the header": lambda: jwt.encode(
        claims(), "k" * 64, algorithm="HS256", headers={"jwk": {"kty": "oct", "k": _part(b"k" * 64)}}
    ),
    "key URL in the header": lambda: jwt.encode(
        claims(), RSA, algorithm="RS256", headers={"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/c"}
    ),
    "doubled claims": lambda: resigned(HS, json.dumps(claims()).encode()[:-1] + b', "sub": "mallory"}'),
    "infinite exp": lambda: resigned(HS, json.dumps(claims(exp=None)).encode()[:-1] + b', "exp": 1e999}'),
    "payload that is no object": lambda: resigned(HS, b"[1]"),
    "payload that is no JSON": lambda: resigned(HS, b"\xff\xfe"),
    "64 kB": lambda: signed(filler="x" * 64_000),
    "no token at all": lambda: "not-a-token",
    "dots": lambda: "..",
    "deep header": lambda: resigned(HS, b"[" * 4_000),
}
"""A maker of each token of reliability.md section 4 that must be refused, by what is wrong with it."""
