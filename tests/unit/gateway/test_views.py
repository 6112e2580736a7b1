"""Cursors of lists, the facade's words for every state, and the fields of a blocked refinement."""

import base64
import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import get_args
from uuid import uuid4

import pytest

from events.cursor import InvalidCursorError
from events.task import Status
from gateway.tasks.models import Facade
from gateway.tasks.views import decode_place, encode_place, facade_status
from gateway.workflows.views import proposal_summary
from storage.proposals import ProposalRow
from storage.tasks import Place


def test_a_list_cursor_comes_back_as_it_was() -> None:
    place = Place(datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC), uuid4())
    assert decode_place(encode_place(place)) == place


@pytest.mark.parametrize("text", ["", "x", "W10", "bnVsbA", "e30", "🐝", "WyIyMDI2LTAxLTAxIiwgMV0", "A" * 200])
def test_any_other_text_is_no_list_cursor(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        decode_place(text)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_does_not_exist_in_utc_is_in_no_list_cursor(moment: str) -> None:
    forged = base64.urlsafe_b64encode(json.dumps([moment, str(uuid4())]).encode()).decode().rstrip("=")
    with pytest.raises(InvalidCursorError):
        decode_place(forged)


def test_every_state_has_the_documents_word_in_the_facade() -> None:
    """Requirements O.3."""
    words = {
        "pending": {"submitted", "waiting", "ready", "assigned"},
        "processing": {"running", "paused"},
        "completed": {"succeeded", "partial"},
        "failed": {"failed", "timed_out", "blocked"},
        "cancelled": {"cancelled", "skipped"},
    }
    assert words.keys() == set(get_args(Facade))
    told = {word: {status for status in get_args(Status) if facade_status(status) == word} for word in words}
    assert told == words


def test_a_blocked_refinement_names_the_fields_that_were_sent() -> None:
    said = "Blocked: a (family b) in field 'goal'; c (family d) in field 'context/data/context_selection'."
    known = {"spec": {}, "status": "processing", "task_status": "blocked", "task_error": {"code": "x", "message": said}}
    row = ProposalRow(**{field.name: known.get(field.name) for field in fields(ProposalRow)})  # type: ignore[arg-type]  # what is looked at
    assert proposal_summary(row)["error"] == {
        "code": "x",
        "message": "Blocked: a (family b) in field 'instructions'; c (family d) in field 'context_selection'.",
    }
