"""A secret cut anywhere in a token stream does not leak, and little is held back."""

import pytest

from screening import Screener, StreamRedactor
from screening.stream import HOLD

SECRETS = {
    "ann.smith@example.com": "EMAIL_1",
    "4111 1111 1111 1111": "CREDIT_CARD_1",
    "536-90-4399": "SSN_1",
    "AKIAIOSFODNN7ABCDEFG": "AWS_ACCESS_KEY_1",
    "DE89 3704 0044 0532 0130 00": "IBAN_1",
    "ghp_" + "aB3dE5gH7jK9mN1pQ2" * 2: "GITHUB_TOKEN_1",
}
SENTENCE = "The quick report says that all is well and nothing else happened on that day. "
FILLER = SENTENCE * 4


def run(screener: Screener, pieces: list[str]) -> str:
    stream = StreamRedactor(screener)
    return "".join([*(stream.feed(piece) for piece in pieces), stream.close()])


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_cut_at_every_position_is_redacted(screener: Screener, secret: str) -> None:
    text = SENTENCE + secret + " " + SENTENCE
    for cut in range(len(text) + 1):
        shown = run(screener, [text[:cut], text[cut:]])
        assert secret not in shown
        assert SECRETS[secret] in shown


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_comes_character_by_character_is_redacted(screener: Screener, secret: str) -> None:
    shown = run(screener, list(FILLER + secret + " " + FILLER))
    assert shown == FILLER + f"[{SECRETS[secret]}] " + FILLER


def test_harmless_text_comes_through_unchanged_with_little_held_back(screener: Screener) -> None:
    stream = StreamRedactor(screener)
    shown = ""
    for index, char in enumerate(FILLER, 1):
        shown += stream.feed(char)
        assert index - len(shown) <= 2 * HOLD
    assert shown + stream.close() == FILLER


def test_after_a_pause_all_but_the_word_being_written_is_let_out(screener: Screener) -> None:
    stream = StreamRedactor(screener)
    assert stream.feed("It is done, ask an") == ""
    assert stream.idle() == "It is done, ask "
    assert stream.close() == "an"
