"""A value is read with its key: `{"password": "…"}` is no safer than `password: …`."""

import pytest

from events.base import JsonObject
from events.texts import replace_texts, texts_in
from screening import Screener
from screening.keyed import with_keys
from screening.model import Verdict

PASSWORD, SECRET, TOKEN = "Xk29dk2kd9!q", "Zk8Jq2Lm0Pq9Rt5Vw3Xy7", "ghp_aB3dE5gH7jK9mN1pQ2rS4tU6vW8xYaB3dE5g"


def read(screener: Screener, value: JsonObject) -> Verdict:
    return screener.screen(dict(texts_in(value, "metadata")), kind="turn", tenant="t")


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ({"password": PASSWORD}, {"password": "[PASSWORD_1]"}),
        ({"deep": [{"b": "hello", "api_key": SECRET}]}, {"deep": [{"b": "hello", "api_key": "[GENERIC_SECRET_1]"}]}),
        ({"CLIENT-SECRET": SECRET}, {"CLIENT-SECRET": "[GENERIC_SECRET_1]"}),
        ({"password": TOKEN}, {"password": "[GITHUB_TOKEN_1]"}),
    ],
)  # fmt: skip
def test_a_secret_under_a_key_that_says_so_is_redacted_and_the_key_stays(
    screener: Screener, value: JsonObject, safe: JsonObject
) -> None:
    verdict = read(screener, value)
    assert replace_texts(value, "metadata", verdict.redacted or {}) == safe
    assert len(verdict.findings) == 1


def test_what_only_sounds_like_a_secret_passes(screener: Screener) -> None:
    value: JsonObject = {
        "password": "is required",
        "api_key": "<your key here>",
        "primary_key": "customer_id",
        "passenger": "Ann Smith of Leeds",
        "keyboard": "QWERTY layout",
        "token_count": "120000 tokens",
        "idempotency_key": "4fbe7b83-4509-593c-ad62-a5c0bbc71d68",
        "next_page_token": "CAUQAA",
    }
    verdict = read(screener, value)
    assert (verdict.decision, verdict.findings) == ("allow", ())


def test_where_no_key_tells_nothing_more_is_read() -> None:
    fields = dict(texts_in({"note": PASSWORD, "key": "x" * 400, "n": {"password": [PASSWORD]}}, "metadata"))
    assert with_keys(fields) is fields
