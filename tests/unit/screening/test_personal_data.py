"""What counts as personal data, and what only looks like it."""

import time

import pytest

from screening import Screener
from screening.validators import VALIDATORS
from screening.validators.crypto import keccak256


def types(screener: Screener, text: str) -> set[str]:
    return {f.type for f in screener.data_findings(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann@example.com", "email"),
        ("jörg@bücher.example", "email"),
        ("2223003122003222", "credit_card"),
        ("3782 822463 10005", "credit_card"),
        ("gb82 west 1234 5698 7654 32", "iban"),
        ("fe80::1ff:fe23:4567:890a", "ipv6"),
        ("10.0.0.1/8", "ipv4"),
        ("078.05.1123", "ssn"),
        ("ITIN 912-70-1234", "itin"),
        ("+49 30 901820", "phone"),
        ("call 785 8949", "phone"),
        ("Geburtsdatum 12.04.1985", "date_of_birth"),
        ("Reisepass C01X00T47", "passport"),
        ("MRN: 12345678", "medical_record"),
        ("ABA 021000021", "routing_number"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bitcoin_address"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "bitcoin_address"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "ethereum_address"),
        ("54362315K", "national_id"),
        ("390.533.447-05", "national_id"),
        ("postgres://app:s3cr3tpw9@db.example:5432/x", "connection_string"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----", "private_key"),
        ("my password is hunter2hunter", "password"),
    ],
)
def test_each_type_is_recognised(screener: Screener, text: str, expected: str) -> None:
    assert expected in types(screener, text)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "666-12-3456",
        "std::vector and a::b::c",
        "version 1.2.3.4.5",
        "2024-11-21 18:43:36",
        "released on 12/04/1985",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
        "password: <your-password-here>",
        "token = get_token_from_environment()",
        "in 2019-2020 we grew by 12 34",
        "user@localhost",
    ],
)
def test_what_only_looks_like_personal_data_is_left_alone(screener: Screener, text: str) -> None:
    assert types(screener, text) == set()


def test_keccak_is_the_one_of_ethereum() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


SHAPED = {"day", "sg_fin", "vin", "eip55"}
"""Only ever called on candidates of their pattern's shape."""


@pytest.mark.parametrize("name", sorted(set(VALIDATORS) - SHAPED))
def test_no_validator_breaks_on_odd_candidates(name: str) -> None:
    for candidate in ("000000000", "123-45-6789", "A" * 17, "x" * 256, "1.2.3", "a:b@c"):
        assert VALIDATORS[name](candidate) in range(257)


@pytest.mark.parametrize(
    "unit", ["12 ", "a@a.", "&#65;", "41", "l33t ", "a b ", "ignore all previous ", "4111 1111 1111 1112 "]
)
def test_twice_the_hostile_text_takes_at_most_about_twice_the_time(screener: Screener, unit: str) -> None:
    def cost(size: int) -> float:
        text, best = (unit * size)[:size], 1e9
        for _ in range(3):
            start = time.process_time()
            screener.screen({"goal": text}, kind="goal", tenant="t")
            best = min(best, time.process_time() - start)
        return best

    assert cost(200_000) < 3.5 * cost(100_000) + 0.01


def test_more_candidates_than_can_be_checked_block_rather_than_hide(screener: Screener) -> None:
    text = "4111 1111 1111 1112 " * 3500 + "4111 1111 1111 1111"
    verdict = screener.screen({"goal": text}, kind="goal", tenant="t")
    assert verdict.decision == "block"
    assert "too_much_to_check" in {finding.type for finding in verdict.findings}


def test_nine_digits_are_noted_where_a_field_is_nothing_else(screener: Screener) -> None:
    verdict = screener.screen({"name": "order", "number": "536904399", "more": "7"}, kind="goal", tenant="t")
    assert [(f.type, f.field, f.severity, f.start, f.end) for f in verdict.findings] == [("ssn", "number", "low", 0, 9)]
    assert verdict.decision == "allow"
    assert not screener.screen({"goal": "order 536904399"}, kind="goal", tenant="t").findings
    assert not screener.screen({"goal": "900904399"}, kind="goal", tenant="t").findings


def test_a_longer_telephone_number_does_not_hide_a_social_security_number(screener: Screener) -> None:
    for text in ("call 11 536-90-4399", "my phone 536 90 4399 1234", "tel 12-536-90-4399"):
        assert types(screener, text) == {"ssn"}, text
        assert screener.screen({"goal": text}, kind="goal", tenant="t").decision == "block"
    assert types(screener, "BG80 BNBG 9661 1020 3456 78") == {"iban"}


def test_much_source_with_colons_is_no_volume_of_addresses(screener: Screener) -> None:
    source = "std::vector<face::bad> dead(std::forward<std::decay_t<F>>(f), std::chrono::seconds(1));\n"
    assert screener.screen({"goal": source * 900}, kind="goal", tenant="acme").decision == "allow"


@pytest.mark.parametrize(
    "text", ["src IPv6:ab::ab:2001:0:ab:fe80)", '"IPv6:fe80::b834:ab:fe80:0"', "IPv6:::ab:fe80:b7b0:1"]
)
def test_an_address_is_found_behind_its_label(screener: Screener, text: str) -> None:
    assert [found.type for found in screener.data_findings(text)] == ["ipv6"]
