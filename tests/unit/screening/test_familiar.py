"""What is said twice, or quotes what was harmless a moment ago, is read once; nothing else is let off."""

from collections.abc import Mapping
from uuid import UUID

from events.ids import new_id
from events.run import RunFinished
from screening.cached import CachedScreener
from screening.familiar import Familiar
from screening.model import EVERYTHING, Checks, Examination, Finding
from screening.outgoing import Outgoing
from screening.policy import Policy
from screening.settings import ScreeningSettings

HARMLESS = "The invoice export stops at the second page, and the customer expects all rows."
SSN = "The number that the customer gave us is 536-90-4399, and it is theirs."
CLEAN = Examination((), 0.01)
SUSPECT = Examination((), 0.3)
FOUND = Examination((Finding("pii", "ssn", "critical", "", 0, 5, 0.9, "pii.ssn"),), 0.01)


def split(familiar: Familiar, fields: Mapping[str, str]) -> tuple[set[str], set[str], dict[str, str]]:
    fresh, known, same = familiar.split(fields)
    return set(fresh), set(known), same


def fact(**output: object) -> RunFinished:
    ids: dict[str, UUID] = {"run_id": new_id(), "task_id": new_id(), "execution_id": new_id()}
    return RunFinished(attempt=1, agent_id="a", outcome="succeeded", output=output, **ids)


def test_only_harmless_texts_are_familiar() -> None:
    familiar = Familiar()
    for text, what in ((HARMLESS, CLEAN), (HARMLESS + "?", SUSPECT), (SSN, FOUND)):
        familiar.remember({"a": text}, {"a": what})
    assert split(familiar, {"a": HARMLESS}) == (set(), {"a"}, {})
    assert split(familiar, {"a": HARMLESS + "?", "b": SSN}) == ({"a", "b"}, set(), {})


def test_harmless_texts_in_bad_company_are_not_familiar() -> None:
    familiar = Familiar()
    familiar.remember({"a": HARMLESS, "b": SSN}, {"a": CLEAN, "b": FOUND})
    assert split(familiar, {"a": HARMLESS}) == ({"a"}, set(), {})


def test_another_text_is_another_and_the_same_text_is_read_once() -> None:
    familiar = Familiar()
    familiar.remember({"a": HARMLESS}, {"a": CLEAN})
    fields = {"a": HARMLESS.upper(), "b": HARMLESS + " ", "c": HARMLESS.upper(), "d": "short", "e": "short"}
    assert split(familiar, fields) == ({"a", "b", "d"}, set(), {"c": "a", "e": "d"})


def test_the_oldest_texts_are_forgotten_and_no_text_is_kept() -> None:
    familiar = Familiar(most=3)
    texts = [f"{HARMLESS} {number}" for number in range(5)]
    for text in texts:
        familiar.remember({"a": text}, {"a": CLEAN})
    assert [split(familiar, {"a": text})[1] for text in texts] == [set(), set(), {"a"}, {"a"}, {"a"}]
    assert not any(b"invoice" in key for key in familiar._scores)


async def test_a_result_that_quotes_its_request_is_read_but_for_the_quotation() -> None:
    screener = ScreeningSettings().screener()
    read: list[str] = []

    def examine(text: str, checks: Checks = EVERYTHING) -> Examination:
        read.append(text)
        return type(screener).examine(screener, text, checks)

    spied = screener.under(screener.policy)
    spied.familiar = Familiar()
    spied.examine = examine  # type: ignore[method-assign]  # a spy
    await CachedScreener(spied).screen({"goal": HARMLESS}, kind="goal", tenant="t")
    outgoing = Outgoing(spied)
    assert outgoing.concern(fact(text=HARMLESS, quoted=[HARMLESS], more="And this is new."), tenant="t") is None
    assert "invoice" in read[0]
    assert len(read) == 2
    assert "invoice" not in read[1]
    assert "this is new" in read[1]


async def test_what_is_harmless_where_less_is_looked_for_is_read_again_where_more_is() -> None:
    data = {"low": "redact"}
    strict = {"default": {"patterns": "strict"}, "output": {"pii": data}}
    policy = Policy.model_validate({"profiles": strict, "assign": {"*/*": "default", "*/output": "output"}})
    screener = ScreeningSettings().screener().under(policy)
    screener.familiar = Familiar()
    text = "The machine is 00:1A:2B:3C:4D:5E, and the other one is off."
    assert not (await CachedScreener(screener).screen({"goal": text}, kind="goal", tenant="t")).findings
    concern = Outgoing(screener).concern(fact(text=text), tenant="t")
    assert concern is not None
    assert [note.type for note in concern.notes] == ["mac_address"]


def test_a_secret_that_stands_twice_is_found_in_both_places() -> None:
    outgoing = Outgoing(ScreeningSettings().screener())
    for _ in range(2):
        concern = outgoing.concern(fact(text=SSN, sentences=[SSN]), tenant="t")
        assert concern is not None
        assert {note.field for note in concern.notes} == {"output/text", "output/sentences/0"}
