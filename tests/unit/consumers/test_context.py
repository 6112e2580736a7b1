"""The keeper's rules of contexts: who may change what, which version, how wide, how long, how many."""

from datetime import timedelta
from uuid import UUID

import pytest

from consumers.keeper.context_rules import MAX_CONTEXTS
from consumers.keeper.context_state import HISTORY, ContextShelf, ContextState, shelf_id
from consumers.keeper.session_state import SessionState
from consumers.keeper.world import Key
from events import ContextChange, ContextChanged, Event
from events.base import JsonObject
from events.context import MAX_NAMED, TTL
from events.ids import new_id
from storage.models import context, context_change, context_shelf
from storage.unnest import columns_of
from tests.support.ledger import BEGIN, Ledger


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    for session_id, owner, status in (("mine", "o", "open"), ("old", "o", "archived"), ("theirs", "p", "open")):
        session = SessionState(
            id=session_id,
            tenant="t",
            owner=owner,
            kind="work",
            status=status,  # type: ignore[arg-type]  # one of the two words
            title=None,
            session_type=None,
            tags=(),
            metadata={},
            agent_config=None,
            max_duration_seconds=None,
            parent_id=None,
            task_id=None,
            turns=(),
            active_turn=None,
            last_seq=0,
            version=1,
            created_at=BEGIN,
            updated_at=BEGIN,
        )
        ledger.states[Key(SessionState, session_id)] = session
    return ledger


def made(ledger: Ledger, data: JsonObject | None = None, scope: str = "global", **more: object) -> UUID:
    """A context of owner o."""
    context_id = new_id()
    if scope == "session":
        more = {"session_id": "mine", **more}
    assert told(ledger, "create", context_id, scope=scope, data=data or {}, **more) == "applied"
    return context_id


def told(ledger: Ledger, action: str, context_id: UUID, **more: object) -> str:
    """Of owner o of tenant t, unless the rest says otherwise."""
    owner, tenant = str(more.pop("owner", "o")), str(more.pop("tenant", "t"))
    given = {"context_id": context_id, "action": action, "by": owner, **more}
    return ledger.say(ContextChange.model_validate(given), owner=owner, tenant=tenant)


def put(ledger: Ledger, context_id: UUID, path: str, value: object, **more: object) -> str:
    return told(ledger, "change", context_id, ops=[{"op": "set", "path": path, "value": value}], **more)


def state(ledger: Ledger, context_id: UUID) -> ContextState:
    return ledger.get(ContextState, context_id)


def last(ledger: Ledger) -> ContextChanged:
    data = ledger.announced[-1].data
    assert isinstance(data, ContextChanged)
    return data


def test_the_columns_and_the_fields_are_the_same() -> None:
    assert columns_of(context) == ContextState._fields
    assert columns_of(context_shelf) == ContextShelf._fields
    assert len(columns_of(context_change)) == 11


def test_each_change_is_the_next_version_and_says_which_places_it_concerned(ledger: Ledger) -> None:
    one = made(ledger, {"a": {"b": None}})
    assert put(ledger, one, "a.c", 2) == "applied"
    found = state(ledger, one)
    assert (found.version, found.data, found.keys, found.size) == (2, {"a": {"b": None, "c": 2}}, 3, 22)
    assert (last(ledger).version, last(ledger).keys, last(ledger).changes) == (2, ("a.c",), 1)
    assert ledger.announced[-1].sessionid == str(one)
    assert [row[2:5] for row in ledger.rows["context_changes"].values()] == [(1, "create", "o"), (2, "change", "o")]


def test_where_nothing_becomes_different_nothing_happens(ledger: Ledger) -> None:
    one = made(ledger, {"a": 1})
    before = state(ledger, one), len(ledger.announced)
    assert put(ledger, one, "a", 1) == "applied"
    assert told(ledger, "change", one, ops=[{"op": "delete", "path": "b"}]) == "applied"
    assert (state(ledger, one), len(ledger.announced)) == before
    assert put(ledger, one, "a", value=True) == "applied"
    assert state(ledger, one).version == 2


def test_who_saw_another_version_changes_nothing(ledger: Ledger) -> None:
    one = made(ledger, {"a": 1})
    assert put(ledger, one, "a", 2, expected_version=1) == "applied"
    assert put(ledger, one, "b", 2, expected_version=1) == "refused:context_conflict"
    assert told(ledger, "delete", one, expected_version=1) == "refused:context_conflict"
    assert state(ledger, one).data == {"a": 2}


@pytest.mark.parametrize("whose", [{"owner": "stranger"}, {"tenant": "elsewhere"}])
def test_nobody_changes_reads_or_copies_somebody_elses_context(ledger: Ledger, whose: dict[str, str]) -> None:
    one = made(ledger, {"secret": 1}, scope="session")
    assert put(ledger, one, "a", 2, **whose) == "refused:unknown_context"
    for action in ("promote", "delete", "merge"):
        assert told(ledger, action, one, **whose) == "refused:unknown_context"
    own = new_id()
    assert told(ledger, "create", own, scope="temporary", **whose) == "applied"
    assert told(ledger, "merge", own, sources=[one], strategy="deep_merge", **whose) == "refused:unknown_context"
    assert told(ledger, "share", new_id(), sources=[one], session_id="theirs", **whose) == "refused:unknown_context"
    assert state(ledger, one).version == 1


@pytest.mark.parametrize(
    ("session_id", "code"), [("theirs", "unknown_session"), ("none", "unknown_session"), ("old", "session_archived")]
)
@pytest.mark.parametrize("action", ["create", "share"])
def test_a_context_goes_into_no_session_but_an_open_one_of_its_owner(
    ledger: Ledger, session_id: str, code: str, action: str
) -> None:
    sources = [made(ledger, scope="session")] if action == "share" else []
    asked = {"scope": "session", "session_id": session_id, "sources": sources}
    assert told(ledger, action, new_id(), **asked) == f"refused:{code}"
    assert told(ledger, "create", new_id(), scope="temporary", session_id=session_id) == f"refused:{code}"


def test_what_is_shared_is_a_copy_that_goes_its_own_way(ledger: Ledger) -> None:
    one, copy = made(ledger, {"a": 1}, scope="session"), new_id()
    assert told(ledger, "share", copy, sources=[one], session_id="mine") == "applied"
    assert put(ledger, copy, "a", 2) == "applied"
    assert (state(ledger, one).data, state(ledger, copy).data) == ({"a": 1}, {"a": 2})
    assert (state(ledger, copy).shared_from, state(ledger, copy).scope) == (one, "session")
    assert ledger.announced[-1].sessionid == "mine"


@pytest.mark.parametrize("scope", ["global", "temporary"])
def test_what_is_seen_everywhere_or_gone_in_an_hour_is_not_shared(ledger: Ledger, scope: str) -> None:
    asked = {"sources": [made(ledger, scope=scope)], "session_id": "mine"}
    assert told(ledger, "share", new_id(), **asked) == "refused:context_scope_mismatch"


def test_only_a_promotion_makes_anything_global(ledger: Ledger) -> None:
    wide, narrow = made(ledger, {"a": 1}), made(ledger, {"b": 2}, scope="session")
    brief = made(ledger, {"c": 3}, scope="temporary")
    for source in (narrow, brief):
        asked = {"sources": [source], "strategy": "deep_merge"}
        assert told(ledger, "merge", wide, **asked) == "refused:context_scope_mismatch"
    assert told(ledger, "promote", brief) == "refused:context_scope_mismatch"
    assert told(ledger, "promote", narrow) == "applied"
    found = state(ledger, narrow)
    assert (found.scope, found.session_id, found.expires_at, found.version) == ("global", None, None, 2)
    assert told(ledger, "promote", narrow) == "applied"
    assert state(ledger, narrow).version == 2
    assert told(ledger, "merge", wide, sources=[narrow], strategy="deep_merge") == "applied"
    assert state(ledger, wide).data == {"a": 1, "b": 2}


def test_the_session_that_a_context_was_in_hears_that_it_is_global_now(ledger: Ledger) -> None:
    promote = ContextChange(context_id=made(ledger, scope="session"), action="promote", by="o")
    said = Event.first(promote, source="/gateway", tenant="t", owner="o", session_id="mine")
    assert ledger.fold(said) == "applied"
    assert (ledger.announced[-1].sessionid, last(ledger).scope, last(ledger).session_id) == ("mine", "global", None)


def test_a_merge_names_what_was_disputed_and_a_manual_one_writes_nothing_then(ledger: Ledger) -> None:
    target, source = made(ledger, {"a": {"x": 1}}), made(ledger, {"a": {"x": 2}, "b": 3})
    asked = {"sources": [source], "strategy": "manual"}
    assert told(ledger, "merge", target, **asked) == "refused:context_conflict"
    assert state(ledger, target).data == {"a": {"x": 1}}
    assert told(ledger, "merge", target, sources=[source], strategy="last_write_wins") == "applied"
    assert state(ledger, target).data == {"a": {"x": 2}, "b": 3}
    assert (last(ledger).conflicts, last(ledger).keys, last(ledger).sources) == (("a.x",), ("a.x", "b"), (source,))
    assert put(ledger, target, "a.x", 9) == "applied"
    assert told(ledger, "merge", target, sources=[source], strategy="last_write_wins") == "applied"
    assert state(ledger, target).data == {"a": {"x": 9}, "b": 3}
    assert state(ledger, source).version == 1


@pytest.mark.parametrize("scope", ["temporary", "session", "agent", "global"])
def test_each_scope_lasts_its_time_after_the_last_change(ledger: Ledger, scope: str) -> None:
    one = made(ledger, {"a": 1}, scope=scope, agent_id="helper")
    ttl = TTL[scope]  # type: ignore[index]  # one of the scopes
    found = state(ledger, one)
    assert found.expires_at == (None if ttl is None else found.updated_at + timedelta(seconds=ttl))
    ledger.at += timedelta(minutes=30)
    assert put(ledger, one, "a", 2) == "applied"
    assert state(ledger, one).expires_at == (None if ttl is None else ledger.at + timedelta(seconds=ttl))
    ledger.at += timedelta(days=8)
    assert put(ledger, one, "a", 3) == ("applied" if ttl is None else "refused:unknown_context")


def test_a_time_of_its_own_counts_after_each_change(ledger: Ledger) -> None:
    one = made(ledger, {"a": 1}, scope="temporary", ttl_seconds=60)
    assert put(ledger, one, "a", 2) == "applied"
    assert state(ledger, one).expires_at == ledger.at + timedelta(seconds=60)


def test_the_janitor_ends_the_version_that_it_saw_and_no_later_one(ledger: Ledger) -> None:
    one = made(ledger, {"a": 1}, scope="temporary")
    assert put(ledger, one, "a", 2) == "applied"
    assert told(ledger, "expire", one, expected_version=1) == "refused:context_conflict"
    ledger.at += timedelta(hours=2)
    assert told(ledger, "expire", one, expected_version=2) == "applied"
    found = state(ledger, one)
    assert (found.open, found.data, found.version, last(ledger).action) == (False, {}, 3, "expire")
    assert told(ledger, "expire", one, expected_version=3) == "refused:unknown_context"


def test_what_is_deleted_is_gone_for_good_and_so_is_what_it_held(ledger: Ledger) -> None:
    one = made(ledger, {"a": 1})
    assert told(ledger, "delete", one) == "applied"
    assert (state(ledger, one).open, state(ledger, one).data) == (False, {})
    for action in ("change", "promote", "delete", "merge"):
        assert told(ledger, action, one) == "refused:unknown_context"
    assert told(ledger, "create", one, scope="global") == "refused:context_exists"


def test_an_owner_has_so_many_contexts_and_no_more(ledger: Ledger) -> None:
    one = made(ledger)
    shelf = ledger.get(ContextShelf, shelf_id("t", "o"))
    assert shelf.open == 1
    ledger.states[Key(ContextShelf, shelf.id)] = shelf._replace(open=MAX_CONTEXTS)
    assert told(ledger, "create", new_id(), scope="global") == "refused:too_many_contexts"
    assert told(ledger, "create", new_id(), scope="global", owner="p") == "applied"
    assert told(ledger, "delete", one) == "applied"
    assert told(ledger, "create", new_id(), scope="global") == "applied"
    assert ledger.get(ContextShelf, shelf.id).open == MAX_CONTEXTS


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("a.b", 1, "not_an_object"),
        ("x", {"b.c": 1}, "unusable_key"),
        ("x" * 600, 1, "unusable_key"),
        (".".join("abcdefghijklmnopq"), 1, "not_an_object"),
        (".".join("bcdefghijklmnopqr"), 1, "context_too_deep"),
        ("x", "x" * 70_000, "context_too_large"),
    ],
)
def test_no_change_takes_a_context_over_its_bounds(ledger: Ledger, path: str, value: object, code: str) -> None:
    one = made(ledger, {"a": 1})
    assert put(ledger, one, path, value) == f"refused:{code}"
    assert state(ledger, one).data == {"a": 1}


def test_a_merge_stays_within_the_bounds_too(ledger: Ledger) -> None:
    one, other = made(ledger, {"a": "x" * 40_000}), made(ledger, {"b": "x" * 40_000})
    assert told(ledger, "merge", one, sources=[other], strategy="deep_merge") == "refused:context_too_large"


def test_the_history_keeps_the_last_hundred_changes_and_names_a_hundred_places(ledger: Ledger) -> None:
    one = made(ledger, {str(number): 0 for number in range(MAX_NAMED + 50)})
    first = ledger.rows["context_changes"][one, 1]
    assert (str(first[6]).count(","), first[7]) == (MAX_NAMED - 1, MAX_NAMED + 50)
    assert (len(last(ledger).keys), last(ledger).changes) == (MAX_NAMED, MAX_NAMED + 50)
    for number in range(HISTORY):
        assert put(ledger, one, "0", number + 1) == "applied"
    versions = sorted(int(str(row[2])) for row in ledger.rows["context_changes"].values())
    assert versions == list(range(2, HISTORY + 2))
