"""A secret cut anywhere in a token stream does not leak, and little is held back."""

import json
import re
from collections.abc import Sequence

import pytest

from screening import Screener, StreamRedactor
from screening.policy import Redaction, Strategy
from screening.readings import DATA_FAMILIES
from screening.redaction import StandIns, replace
from screening.rules import load
from screening.stream import HOLD, WITHHELD

SENTENCE = "The quick report says that all is well and nothing else happened on that day. "
RULES = [rule for rule in load()[0] if rule.family in DATA_FAMILIES and rule.id != "pii.ssn-bare"]  # no part of a text
CORPUS = list(dict.fromkeys(text for rule in RULES for text in rule.examples.match))
SECRETS = {
    "ann.smith@example.com": "EMAIL_1",
    "4111 1111 1111 1111": "CREDIT_CARD_1",
    "536-90-4399": "SSN_1",
    "AKIAIOSFODNN7ABCDEFG": "AWS_ACCESS_KEY_1",
    "DE89 3704 0044 0532 0130 00": "IBAN_1",
    "ghp_" + "aB3dE5gH7jK9mN1pQ2" * 2: "GITHUB_TOKEN_1",
}
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq2tZ0y9xR4\n" * 50 + "-----END RSA PRIVATE KEY-----"
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJ" + "aB3dE5gH7jK9" * 40 + "." + "xY7" * 30
LONG = {
    "key": KEY,
    "token": TOKEN,
    "connection": f"postgres://{'u' * 60}:{'hT5q' * 24}@db.example.com/main",
}


STRATEGIES: tuple[Strategy, ...] = ("token", "mask", "hash", "partial", "remove")


class AllAtOnce(StandIns):
    """What each of the strategies makes of a value: one reading of a stream shows the streams of all."""

    def __init__(self) -> None:
        super().__init__()
        self._each = [StandIns(Redaction(strategy=strategy)) for strategy in STRATEGIES]

    def of(self, kind: str, value: str) -> str:
        return f"<{'|'.join(one.of(kind, value) for one in self._each)}>"


def run(screener: Screener, pieces: Sequence[str], *, pausing: bool = False, instead: StandIns | None = None) -> str:
    stream = StreamRedactor(screener, instead)
    shown = []
    for piece in pieces:
        shown.append(stream.feed(piece))
        if pausing:
            shown.append(stream.idle())
    return "".join([*shown, stream.close()])


def unnumbered(text: str) -> str:
    return re.sub(r"\[([A-Z0-9_]+?)_\d+\]", r"[\1]", text)


def whole_of(screener: Screener, text: str, instead: StandIns) -> str:
    return replace(text, (one for one in screener.data_findings(text) if one.family in DATA_FAMILIES), instead)


@pytest.mark.parametrize("text", CORPUS)
def test_any_data_cut_at_every_position_is_redacted_as_in_the_whole_text_by_each_strategy(
    screener: Screener, text: str
) -> None:
    whole = SENTENCE + text + "\n" + SENTENCE
    wanted = unnumbered(whole_of(screener, whole, AllAtOnce()))
    assert wanted.count("|") >= 4
    for cut in range(len(SENTENCE) - 1, len(SENTENCE + text) + 2):
        assert unnumbered(run(screener, [whole[:cut], whole[cut:]], instead=AllAtOnce())) == wanted


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_lets_anything_out_that_another_holds_back(screener: Screener, strategy: Strategy) -> None:
    text = f"{SENTENCE}{' and '.join(SECRETS)}\n{SENTENCE}"
    wanted = unnumbered(whole_of(screener, text, StandIns(Redaction(strategy=strategy))))
    for secret in SECRETS:
        assert secret not in wanted
    for pausing in (False, True):
        instead = StandIns(Redaction(strategy=strategy))
        assert unnumbered(run(screener, list(text), pausing=pausing, instead=instead)) == wanted


@pytest.mark.parametrize("text", CORPUS)
def test_any_data_that_comes_in_tokens_is_redacted_as_in_the_whole_text(screener: Screener, text: str) -> None:
    whole = SENTENCE * 3 + text + "\n" + SENTENCE * 3
    wanted = unnumbered(screener.redact(whole))
    for size in (1, 3):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert unnumbered(run(screener, pieces)) == wanted


@pytest.mark.parametrize("secret", SECRETS)
def test_a_pause_at_any_position_inside_a_secret_lets_nothing_of_it_out(screener: Screener, secret: str) -> None:
    text = SENTENCE + secret + " " + SENTENCE
    for cut in range(len(text) + 1):
        shown = run(screener, [text[:cut], text[cut:]], pausing=True)
        assert shown == SENTENCE + f"[{SECRETS[secret]}] " + SENTENCE


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("pausing", [False, True])
def test_a_secret_longer_than_what_is_held_back_does_not_leak(screener: Screener, name: str, *, pausing: bool) -> None:
    text = SENTENCE + LONG[name] + " \n" + SENTENCE
    wanted = unnumbered(screener.redact(text))
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    assert unnumbered(run(screener, pieces, pausing=pausing)) == wanted
    assert LONG[name][40:60] not in wanted


def test_a_long_password_without_a_user_does_not_leak_wherever_the_stream_is_looked_at(screener: Screener) -> None:
    secret = f"redis://:{'hT5q' * 25}@cache.example.com/0"
    for before in range(40):
        assert "hT5q" not in run(screener, list(f"{'w' * before} {secret} {SENTENCE}"))


def test_a_secret_without_an_end_is_withheld_with_all_that_follows(screener: Screener) -> None:
    endless = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq2tZ0y9xR4\n" * 4000
    shown = run(screener, [SENTENCE, *(endless[at : at + 1000] for at in range(0, len(endless), 1000)), "more"])
    assert shown == SENTENCE + WITHHELD


def test_harmless_text_comes_through_unchanged_with_little_held_back(screener: Screener) -> None:
    stream = StreamRedactor(screener)
    shown, text = "", SENTENCE * 4
    for index, char in enumerate(text, 1):
        shown += stream.feed(char)
        assert index - len(shown) <= HOLD
    assert shown + stream.close() == text


def test_text_without_spaces_is_not_held_back_longer(screener: Screener) -> None:
    stream = StreamRedactor(screener)
    shown, text = "", "今日は天気がとても良いので散歩に行きましょう" * 30
    for index, char in enumerate(text, 1):
        shown += stream.feed(char)
        assert index - len(shown) <= HOLD
    assert shown + stream.close() == text


def test_after_a_pause_all_but_the_word_being_written_is_let_out(screener: Screener) -> None:
    stream = StreamRedactor(screener)
    assert stream.feed("It is done, ask an") == ""
    assert stream.idle() == "It is done, ask "
    assert stream.close() == "an"


def test_after_a_pause_a_number_that_may_go_on_is_not_let_out(screener: Screener) -> None:
    stream = StreamRedactor(screener)
    stream.feed("Call me at +44 20 ")
    assert stream.idle() == "Call me at "
    assert stream.feed("7946 0958 now") + stream.close() == "[PHONE_1] now"


def test_the_same_value_gets_the_same_name_wherever_it_comes(screener: Screener) -> None:
    text = f"ann@example.com {SENTENCE * 3} bob@example.com {SENTENCE * 3} ann@example.com"
    shown = run(screener, list(text))
    assert json.dumps(shown).count("EMAIL_1") == 2
    assert "EMAIL_2" in shown
