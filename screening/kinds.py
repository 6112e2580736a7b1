"""The types of data that the rules look for, and the documents' three sets of them (requirements 000.3)."""

from __future__ import annotations

from typing import Literal, get_args

PatternSet = Literal["strict", "standard", "relaxed"]
"""Each holds the one before it. The names are the documents': `strict` looks for least, `relaxed` for everything."""

Secret = Literal[
    "aws_access_key", "aws_secret_key", "github_token", "gitlab_token", "slack_token", "stripe_key", "google_api_key",
    "openai_key", "anthropic_key", "service_token", "telegram_token", "discord_token", "azure_key", "private_key",
    "jwt", "connection_string", "bearer_token", "generic_secret", "password",
]  # fmt: skip
_Strict = Literal["ssn", "credit_card", "passport", "medical_record"]
_Standard = Literal[
    "email", "phone", "ipv4", "bitcoin_address", "ethereum_address", "crypto_address", "drivers_license", "itin",
    "date_of_birth", "iban", "national_id",
]  # fmt: skip
_Relaxed = Literal["ipv6", "mac_address", "bank_account", "routing_number", "vehicle_id", "company_id"]

DataType = Literal[Secret, _Strict, _Standard, _Relaxed]

DATA_TYPES: frozenset[str] = frozenset(get_args(DataType))
SECRETS: frozenset[str] = frozenset(get_args(Secret))
"""They are in every set."""

_LEFT_OUT: dict[PatternSet, frozenset[str]] = {
    "strict": frozenset(get_args(_Standard) + get_args(_Relaxed)),
    "standard": frozenset(get_args(_Relaxed)),
    "relaxed": frozenset(),
}


def left_out(patterns: PatternSet) -> frozenset[str]:
    """The types of data that a set does not look for; a type that is none of ours is in every set."""
    return _LEFT_OUT[patterns]
