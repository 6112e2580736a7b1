"""What a request does to the requirements that a draft has."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.writing import requirements
from engine.writing.statements import Requirement, apply, kind_of
from engine.writing.text import sentence, statements_of, with_section


def one(identifier: str, text: str) -> Requirement:
    return Requirement(id=identifier, kind=kind_of(text), text=text, acceptance="It is seen.")


def ids(found: list[Requirement]) -> list[str]:
    return [requirement["id"] for requirement in found]


def test_sentences_and_bullets_are_statements_and_headings_and_code_are_not() -> None:
    text = "# Title\nWe want it to greet. It logs, e.g. names.\n\n- first\n2) second\n```\ncode. more code.\n```\nlast"
    assert statements_of(text) == ["We want it to greet.", "It logs, e.g. names.", "first", "second", "last"]


def test_a_statement_becomes_a_sentence_of_its_own() -> None:
    assert sentence("please, we want to greet users") == "Greet users."
    assert sentence("Could you send mail?") == "Send mail?"


def test_each_kind_has_ids_of_its_own() -> None:
    after, changes = apply("Greet users. Never store names. Answer within 2 seconds. Send mail.", [], [], [])
    assert ids(after) == ["R-001", "R-002", "Q-001", "C-001"]
    assert len(changes["added"]) == 4


def test_what_is_asked_for_again_is_not_added_again() -> None:
    before = [one("R-001", "Greet all users by name.")]
    after, changes = apply("Please greet all users by their name!", before, [], [])
    assert after == before
    assert changes["repeated"] == ["R-001: Greet all users by name."]


def test_removing_by_id_never_frees_the_id() -> None:
    before = [one("R-001", "Greet users."), one("R-002", "Send mail.")]
    after, changes = apply("Remove R-002. Translate greetings.", before, [], [])
    assert ids(after) == ["R-001", "R-003"]
    again, _ = apply("Keep a log.", [before[0]], [*changes["removed"], "R-003: Translate greetings."], [])
    assert ids(again) == ["R-001", "R-004"]


def test_removing_by_words_needs_a_requirement_that_speaks_of_it() -> None:
    before = [one("R-001", "Greet users."), one("R-002", "Send a weekly report by mail.")]
    after, changes = apply("Drop the weekly report.", before, [], [])
    assert ids(after) == ["R-001"]
    assert changes["removed"] == ["R-002: Send a weekly report by mail."]
    after, _ = apply("Drop old database rows every night.", before, [], [])
    assert ids(after) == ["R-001", "R-002", "R-003"]


def test_a_requirement_is_reworded_in_place() -> None:
    after, changes = apply("Change R-001 to: greet users in German.", [one("R-001", "Greet users.")], [], [])
    assert [requirement["text"] for requirement in after] == ["Greet users in German."]
    assert changes["changed"] == ["R-001: Greet users in German."]


def test_a_change_of_what_is_not_there_is_a_question() -> None:
    _, changes = apply("Remove R-009. Who approves?", [], [], [])
    assert changes["questions"] == [
        "R-009 is asked to be changed, but no requirement has that id.",
        "Who approves?",
    ]


def test_the_requesters_own_criterion_is_taken() -> None:
    after, _ = apply("Greet users by name.", [], [], ["The nightly backup can be restored"])
    assert after[0]["acceptance"] == "One example shows it, and one input that should be refused is refused."
    after, _ = apply("Greet users by name.", [], [], ["each user is greeted by name within a second"])
    assert after[0]["acceptance"] == "Each user is greeted by name within a second."


WORDS = st.text(alphabet=string.ascii_letters + " .,!?'-|*#\n", min_size=1, max_size=300)


@given(WORDS)
def test_what_is_written_is_read_back(text: str) -> None:
    after, changes = apply(text, [], [], [])
    page = requirements.write("Title", after, changes["questions"], ["R-900: gone"])
    assert requirements.read(page) == after
    assert requirements.questions(page) == changes["questions"]
    assert requirements.withdrawn(page) == ["R-900: gone"]


@given(WORDS, WORDS)
def test_refining_twice_keeps_every_id_and_repeats_nothing(first: str, second: str) -> None:
    before, _ = apply(first, [], [], [])
    after, changes = apply(second, before, [], [])
    assert len(set(ids(after))) == len(after)
    again, nothing = apply(second, after, changes["removed"], [])
    assert not nothing["added"] or changes["removed"] or changes["changed"]
    assert {requirement["id"] for requirement in before} <= {*ids(after), *(n[:5] for n in changes["removed"])}
    assert len(again) <= len(after) or changes["removed"]


def test_a_section_is_replaced_and_all_else_is_left() -> None:
    text = "# A\n\nmine\n\n## Serves\n\n- old\n\n## Limits\n\n- none"
    assert with_section(text, "Serves", ["- new"]) == "# A\n\nmine\n\n## Serves\n\n- new\n\n## Limits\n\n- none"
    assert with_section("# A", "Serves", ["- new"]) == "# A\n\n## Serves\n\n- new"


@pytest.mark.parametrize(
    ("request_", "texts", "counts"),
    [
        ("Remove R-001 and R-003.", ["B."], (0, 2)),
        ("Please remove R-001, R-002, and requirement R-003.", [], (0, 3)),
        ("Change R-001 to say x and R-002 to say y.", ["Say x.", "Say y.", "C."], (2, 0)),
        ("Drop R-001, then replace R-002 with: X.", ["X.", "C."], (1, 1)),
        ("Change R-001 to follow R-002 and R-003.", ["Follow R-002 and R-003.", "B.", "C."], (1, 0)),
        ("Change R-001, R-002 to y.", ["A.", "B.", "C.", "Change R-001, R-002 to y."], (0, 0)),
        ("Remove R-001 because R-002 and R-003 say it.", ["B.", "C."], (0, 1)),
    ],
)
def test_each_of_several_changes_in_one_sentence_is_made(
    request_: str, texts: list[str], counts: tuple[int, int]
) -> None:
    before = [one("R-001", "A."), one("R-002", "B."), one("R-003", "C.")]
    after, changes = apply(request_, before, [], [])
    assert [requirement["text"] for requirement in after] == texts
    assert (len(changes["changed"]), len(changes["removed"])) == counts
