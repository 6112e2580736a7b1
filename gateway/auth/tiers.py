"""The names of the tiers of requests (requirements 000.3); what they allow is in `storage.limits`."""

from typing import Literal

Tier = Literal["free", "basic", "pro", "enterprise", "unlimited"]
