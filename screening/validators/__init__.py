"""Second opinions on a candidate: checksums, issuer ranges, plausible numbers. Every function is pure and bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from screening.validators import crypto, identity, network, payment, secret, telephone

Validator = Callable[[str], int]
"""Whether the candidate (at most 256 characters) can be what the rule's pattern took it for; a number above 1 says
how many of its characters are."""

VALIDATORS: Mapping[str, Validator] = {
    **payment.VALIDATORS,
    **network.VALIDATORS,
    **identity.VALIDATORS,
    **telephone.VALIDATORS,
    **crypto.VALIDATORS,
    **secret.VALIDATORS,
}
