"""What a placeholder stands for can be read back with the right key, for the right tenant and session, only."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.sealing import Sealer, UnsealError, kind_of, reveal

OLD, NEW = b"o" * 32, b"n" * 32
SEALER = Sealer(NEW)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_a_sealed_value_comes_back_and_does_not_show(value: str) -> None:
    sealed = SEALER.seal("t", "s", "EMAIL", value)
    assert SEALER.open("t", "s", "EMAIL", sealed) == value
    assert sealed.isascii()
    assert len(value) < 12 or value not in sealed


@pytest.mark.parametrize(("tenant", "session", "kind"), [("u", "s", "EMAIL"), ("t", "r", "EMAIL"), ("t", "s", "SSN")])
def test_it_opens_for_nobody_else(tenant: str, session: str, kind: str) -> None:
    with pytest.raises(UnsealError):
        SEALER.open(tenant, session, kind, SEALER.seal("t", "s", "EMAIL", "ann@example.com"))


def test_what_was_changed_does_not_open() -> None:
    sealed = SEALER.seal("t", "s", "EMAIL", "ann@example.com")
    for broken in (sealed[:-6] + "AAAAA=", sealed[:20], "", "x.y"):
        with pytest.raises(UnsealError):
            SEALER.open("t", "s", "EMAIL", broken)


def test_old_values_open_after_the_key_was_changed() -> None:
    sealed = Sealer(OLD).seal("t", "s", "EMAIL", "ann@example.com")
    assert Sealer(NEW, OLD).open("t", "s", "EMAIL", sealed) == "ann@example.com"
    with pytest.raises(UnsealError):
        Sealer(NEW).open("t", "s", "EMAIL", sealed)


def test_tags_are_equal_for_equal_values_of_one_session_only() -> None:
    assert SEALER.tag("t", "s", "EMAIL", "a@b.co") == SEALER.tag("t", "s", "EMAIL", "a@b.co")
    others = {SEALER.tag(*of) for of in [("t", "s", "EMAIL", "c@d.co"), ("t", "r", "EMAIL", "a@b.co"),
                                         ("u", "s", "EMAIL", "a@b.co"), ("t", "s", "EMAILA", "@b.co")]}  # fmt: skip
    assert SEALER.tag("t", "s", "EMAIL", "a@b.co") not in others
    assert len(others) == 4


def test_keys_come_from_base64_and_must_be_long_enough() -> None:
    text = ",".join(base64.urlsafe_b64encode(key).decode().rstrip("=") for key in (NEW, OLD))
    assert Sealer.of(text).open("t", "s", "K", Sealer(OLD).seal("t", "s", "K", "v")) == "v"
    with pytest.raises(ValueError, match="30 bytes"):
        Sealer.of("c2hvcnQ=")


def test_revealing_replaces_known_names_once() -> None:
    values = {"EMAIL_1": "ann@[SSN_1]", "SSN_1": "536-90-4399"}
    assert reveal("[EMAIL_1] [SSN_1] [SSN_2] [x [EMAIL_1", values) == "ann@[SSN_1] 536-90-4399 [SSN_2] [x [EMAIL_1"
    assert kind_of("CREDIT_CARD_12") == "CREDIT_CARD"
