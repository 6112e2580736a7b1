"""A diff that takes long holds up nobody else: it is made beside the event loop."""

import asyncio
import threading
from dataclasses import fields
from typing import cast

import pytest

from gateway.workflows import proposals
from gateway.workflows.access import Access
from gateway.workflows.proposals import Proposals
from gateway.workflows.refining import Nursery
from storage.proposals import ProposalRow
from storage.reading import Database


async def test_the_loop_turns_while_a_proposal_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ProposalRow(**dict.fromkeys(field.name for field in fields(ProposalRow)))  # type: ignore[arg-type]  # not looked at
    loop_turned = threading.Event()
    monkeypatch.setattr(proposals, "proposal_view", lambda *_: {"turned": loop_turned.wait(5.0)})
    shown = asyncio.create_task(Proposals(cast("Access", None), Nursery(), cast("Database", None)).shown(row))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(loop_turned.set)
    assert (await shown).body == b'{"turned":true}'
