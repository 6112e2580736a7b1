"""What machines write all day is nobody's number: ids, measures and times that happen to have a right check digit."""

import pytest

from screening import Screener


@pytest.mark.parametrize(
    "text",
    [
        "see task 25698565-0513-447b-8fa7-4a0cdabdb305 again",
        "see task 5f9d0644-7691-4657-8787-a0e8490201be, please",
        "063471E6-5627-4605-8685-55FFC11397EC",
        "db65d2a4-0076-4817-91cc-755ac6c88cfe",
        "loss 6.176353437317317, then 13.184918111268084.",
        "[0.23492748439236655, 6.176353437317317]",
        "arn:aws:iam::909609175326:role/deploy",
        "the account 909609175326 pays",
        '{"at": 1709304216579, "until": 1707046580196}',
    ],
)
def test_a_part_of_an_identifier_is_no_finding(screener: Screener, text: str) -> None:
    assert not screener.data_findings(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("task 25698565-0513-447b-8fa7-4a0cdabdb305 was paid with 4111 1111 1111 1111", "credit_card"),
        ("4111.1111.1111.1111", "credit_card"),
        ("0.5 of it on 4111111111111111", "credit_card"),
        ("Aadhaar 3123 4567 8909 for 25698565-0513-447b-8fa7-4a0cdabdb305", "national_id"),
        ("arn:aws:iam::909609175326:user/ann@example.org", "email"),
    ],
)
def test_a_number_beside_an_identifier_is_found_still(screener: Screener, text: str, kind: str) -> None:
    assert kind in {finding.type for finding in screener.data_findings(text)}
