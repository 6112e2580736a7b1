"""What stands where data was redacted is what policy says, tells no more than that, and leaves the rest as it was."""

import hashlib
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from screening import Policy, Screener
from screening.kinds import DATA_TYPES, SECRETS, PatternSet, left_out
from screening.model import Finding
from screening.policy import Redaction, Strategy
from screening.readings import DATA_FAMILIES
from screening.redaction import StandIns, replace
from screening.rules import load
from screening.sealing import Sealer

RULES = [rule for rule in load()[0] if rule.family in DATA_FAMILIES]
CORPUS = list(dict.fromkeys(text for rule in RULES for text in rule.examples.match))
STRATEGIES: tuple[Strategy, ...] = ("token", "mask", "hash", "partial", "remove")
CARD, MAIL, KEY = "4111 1111 1111 1111", "ann.smith@example.com", "AKIAIOSFODNN7ABCDEFG"
TEXT = f"Card {CARD}, mail {MAIL}, key {KEY}; again {MAIL}."
SEALER = Sealer(b"k" * 32)


def found(kind: str, start: int, end: int) -> Finding:
    return Finding("pii", kind, "high", "", start, end, 0.9, "a rule")


def under(how: Mapping[str, object], **more: object) -> Policy:
    said = dict.fromkeys(("critical", "high", "medium", "low"), "redact")
    return Policy.model_validate({"profiles": {"default": {"pii": said, "secrets": said, "redaction": how, **more}}})


def redacted(screener: Screener, how: Mapping[str, object], text: str = TEXT, tenant: str = "acme") -> str:
    verdict = screener.under(under(how)).screen({"goal": text}, kind="turn", tenant=tenant)
    assert verdict.decision == "redact"
    assert verdict.redacted is not None
    return verdict.redacted["goal"]


def test_the_types_and_which_are_secrets_are_those_of_the_rules() -> None:
    assert {rule.type for rule in RULES} == DATA_TYPES
    assert {rule.type for rule in RULES if rule.family == "secret"} == SECRETS


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("token", "Card [CREDIT_CARD_1], mail [EMAIL_1], key [AWS_ACCESS_KEY_1]; again [EMAIL_1]."),
        ("mask", f"Card {'*' * 19}, mail {'*' * 21}, key ********; again {'*' * 21}."),
        ("partial", "Card **** **** **** 1111, mail *********@example.com, key ********; again *********@example.com."),
        ("remove", "Card , mail , key ; again ."),
    ],
)
def test_a_text_is_redacted_as_policy_says(screener: Screener, strategy: str, expected: str) -> None:
    assert redacted(screener, {"strategy": strategy}) == expected


def test_what_is_said_for_a_type_holds_for_it_alone(screener: Screener) -> None:
    how = {"strategy": "mask", "types": {"credit_card": "partial", "email": "token", "aws_access_key": "remove"}}
    text = f"{TEXT} Passport no. C01X00T47."
    assert redacted(screener, how, text) == (
        "Card **** **** **** 1111, mail [EMAIL_1], key ; again [EMAIL_1]. Passport no. *********."
    )


def test_only_a_placeholder_can_be_opened_again(screener: Screener) -> None:
    for strategy in STRATEGIES:
        verdict = screener.under(under({"strategy": strategy})).screen({"goal": TEXT}, kind="turn", tenant="acme")
        assert (verdict.placeholders is not None) == (strategy == "token")


def test_a_hash_is_the_same_for_equal_values_of_a_tenant_and_no_plain_digest(screener: Screener) -> None:
    keyed, how = screener.with_keys_of(SEALER), {"strategy": "hash"}
    first, tail = redacted(keyed, how).removesuffix(".").split("; again ")
    assert first.endswith(f", mail {tail}, key [AWS_ACCESS_KEY#h{SEALER.digest('acme', 'aws_access_key', KEY)}]")
    assert redacted(keyed, how) == redacted(screener.with_keys_of(Sealer(b"k" * 32, b"o" * 32)), how)
    assert redacted(keyed, how, tenant="other") != redacted(keyed, how)
    assert redacted(screener.with_keys_of(Sealer(b"o" * 32)), how) != redacted(keyed, how)
    for digits in (CARD, CARD.replace(" ", "")):
        assert hashlib.sha256(digits.encode()).hexdigest()[:16] not in redacted(keyed, how)


def test_without_keys_a_hash_is_still_no_plain_digest_and_equal_for_equal_values(screener: Screener) -> None:
    said = redacted(screener, {"strategy": "hash"})
    assert said == redacted(screener, {"strategy": "hash"})
    assert said != redacted(screener.with_keys_of(SEALER), {"strategy": "hash"})


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("credit_card", "4111-1111-1111-1111", "****-****-****-1111"),
        ("credit_card", "NDExMTExMTExMTExMTExMQ==", "*" * 24),
        ("credit_card", "1111", "****"),
        ("iban", "DE89 3704 0044 0532 0130 00", "**** **** **** **** **30 00"),
        ("bank_account", "12345678", "****5678"),
        ("phone", "+44 (20) 7946-0958", "+** (**) ****-**58"),
        ("phone", "0 12 34", "*******"),
        ("email", "ann@sub.example.co.uk", "***@sub.example.co.uk"),
        ("email", "ann\uff20example.com", "*" * 15),
        ("ipv4", "203.0.113.9", "203.*.*.*"),
        ("ssn", "536-90-4399", "*" * 11),
        ("date_of_birth", "1985-04-12", "*" * 10),
        ("passport", "C01X00T47", "*" * 9),
        ("password", "hunter2hunter2", "********"),
        ("private_key", "-----BEGIN", "********"),
        ("a_type_of_others", "hunter2hunter2", "********"),
    ],
)
def test_a_part_is_a_little_of_what_stands_there_plainly_and_nothing_of_a_secret(
    kind: str, value: str, shown: str
) -> None:
    assert StandIns(Redaction(strategy="partial")).of(kind, value) == shown


def test_no_policy_shows_a_part_of_a_secret() -> None:
    with pytest.raises(ValidationError, match="no part of a secret may be shown: jwt, password"):
        under({"types": {"password": "partial", "jwt": "partial", "email": "partial"}})
    with pytest.raises(ValidationError):
        under({"types": {"emial": "mask"}})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_in_what_was_redacted_nothing_is_found_any_more(screener: Screener, strategy: Strategy) -> None:
    for text in CORPUS:
        data = [one for one in screener.data_findings(text) if one.family in DATA_FAMILIES]
        said = replace(text, data, StandIns(Redaction(strategy=strategy)))
        assert not screener.data_findings(said), said


SPANS = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 20), st.sampled_from(sorted(DATA_TYPES))), max_size=8)
LETTERS = "".join(map(chr, range(0x4E00, 0x4E00 + 60)))  # each once, and none of them in any stand-in


@given(SPANS, st.sampled_from(STRATEGIES))
def test_overlaps_leave_nothing_of_what_was_found_and_all_the_rest_as_it_was(
    spans: Sequence[tuple[int, int, str]], strategy: Strategy
) -> None:
    findings = [found(kind, start, min(60, start + length)) for start, length, kind in spans]
    gone = {place for one in findings for place in range(one.start, one.end)}
    said = replace(LETTERS, findings, StandIns(Redaction(strategy=strategy)))
    left = "".join(char for place, char in enumerate(LETTERS) if place not in gone)
    assert "".join(char for char in said if char in LETTERS) == left
    if strategy == "remove":
        assert said == left


def test_of_two_that_overlap_the_placeholders_together_are_the_text() -> None:
    instead = StandIns()
    assert replace("abcdefgh", [found("email", 1, 5), found("phone", 3, 7)], instead) == "a[EMAIL_1][PHONE_1]h"
    assert instead.names.values() == {"EMAIL_1": "bcde", "PHONE_1": "fg"}


@pytest.mark.parametrize(
    ("patterns", "types"),
    [
        ("strict", {"ssn", "aws_access_key"}),
        ("standard", {"ssn", "aws_access_key", "email", "ipv4", "date_of_birth"}),
        ("relaxed", {"ssn", "aws_access_key", "email", "ipv4", "date_of_birth", "mac_address"}),
    ],
)
def test_policy_says_which_of_the_documents_sets_is_looked_for(
    screener: Screener, patterns: str, types: set[str]
) -> None:
    text = f"ssn 536-90-4399, {KEY}, {MAIL}, host 203.0.113.9, born 1985-04-12, mac 00:1A:2B:3C:4D:5E"
    verdict = screener.under(under({}, patterns=patterns)).screen({"goal": text}, kind="goal", tenant="t")
    assert {one.type for one in verdict.findings} == types


def test_each_set_holds_the_one_before_it_and_every_secret() -> None:
    sets: tuple[PatternSet, ...] = ("strict", "standard", "relaxed")
    sizes = [len(DATA_TYPES - left_out(one)) for one in sets]
    assert sizes == sorted(sizes)
    assert left_out("relaxed") == frozenset()
    assert left_out("standard") < left_out("strict")
    assert not any(SECRETS & left_out(one) for one in sets)


def test_a_type_that_is_not_looked_for_hides_none_that_is(screener: Screener) -> None:
    def types(patterns: PatternSet) -> set[str]:
        return {one.type for one in screener.data_findings("passport and itin 912704567", patterns)}

    assert types("relaxed") == {"itin"}
    assert types("strict") == {"passport"}
