"""Whatever one tenant takes, others find room."""

from contextlib import ExitStack

import pytest

from events.errors import OverloadedError
from gateway.door.shares import Shares


def test_a_tenant_has_half_at_most_and_all_together_no_more_than_there_is() -> None:
    shares = Shares()
    with ExitStack() as in_hand:
        for tenant in ("acme", "acme"):
            in_hand.enter_context(shares.taken(tenant, of=4))
        with pytest.raises(OverloadedError):
            in_hand.enter_context(shares.taken("acme", of=4))
        for tenant in ("other", "third"):
            in_hand.enter_context(shares.taken(tenant, of=4))
        with pytest.raises(OverloadedError):
            in_hand.enter_context(shares.taken("fourth", of=4))
    with shares.taken("acme", of=4), shares.taken("acme", of=4):
        pass
