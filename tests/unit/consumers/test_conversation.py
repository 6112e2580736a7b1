"""The offline agent answers from the conversation: it quotes what was said, the newest of equals, never a question."""

import pytest

from consumers._execution import Execution
from consumers.runner.agent import Answer, Said, Work
from consumers.runner.conversation import TOOL, is_question, reply
from consumers.runner.history import newest_that_fit, tokens_of
from consumers.runner.report import Report
from events import Budget, RunDelta, RunToolCalled
from events.ids import new_id

PEPPER = Said("user", "My dog is called Pepper.")


async def answered(prompt: str, *history: Said) -> tuple[Answer, Report]:
    report = Report(Execution(new_id(), new_id(), 1, new_id(), "extractive"), Budget())
    return await reply(Work(prompt=prompt, kind="turn", history=history), report, "offline"), report


async def text_of(prompt: str, *history: Said) -> str:
    answer, _ = await answered(prompt, *history)
    return str(answer.output["text"])


async def test_a_later_turn_is_answered_with_what_an_earlier_one_said() -> None:
    history = (PEPPER, Said("assistant", "Noted."), Said("user", "I live in Oslo."), Said("assistant", "Noted."))
    assert await text_of("What is the dog called?", *history) == 'You said: "My dog is called Pepper."'


async def test_words_are_found_in_other_forms() -> None:
    history = (Said("user", "We moved the meetings to Tuesdays."), Said("assistant", "Noted."))
    assert "Tuesdays" in await text_of("When is the meeting?", *history)
    assert "Pepper" in await text_of("Tell me my dog's name", PEPPER)


async def test_the_newest_of_equals_wins_and_a_question_is_no_answer() -> None:
    history = (
        Said("user", "The budget is 5."),
        Said("user", "What is the budget?"),
        Said("user", "The budget is 7."),
    )
    text = await text_of("What is the budget?", *history)
    assert text.index('"The budget is 7."') < text.index('"The budget is 5."')
    assert "What" not in text


async def test_what_the_user_said_counts_before_what_was_answered() -> None:
    history = (Said("assistant", "The dog may be a terrier."), PEPPER)
    assert "terrier" not in await text_of("What is the dog called?", *history)
    assert "I said" in await text_of("What about the terrier?", *history)


async def test_a_statement_is_noted_with_what_it_belongs_to() -> None:
    assert 'Earlier you said: "My dog is called Pepper."' in await text_of("The dog is ill.", PEPPER)
    assert await text_of("It rains.", PEPPER) == 'Noted: "It rains."'


async def test_what_nobody_said_is_not_made_up() -> None:
    assert await text_of("Where is the key?", PEPPER) == "Nothing that was said so far answers that."
    assert "only just begun" in await text_of("Where is the key?")


async def test_the_same_turn_may_hold_statement_and_question() -> None:
    assert "Pepper" in await text_of("My dog is called Pepper. What is the dog called?")


async def test_scripts_without_spaces_are_understood() -> None:
    history = (Said("user", "我的狗叫胡椒。"), Said("user", "天气很好。"))
    assert "胡椒" in await text_of("狗叫什么？", *history)  # noqa: RUF001  # full-width on purpose


async def test_the_first_answer_says_that_no_model_was_asked() -> None:
    assert (await text_of("It rains.")).endswith("(offline)")
    assert "offline" not in await text_of("It rains.", PEPPER)


async def test_what_it_says_piece_by_piece_is_its_answer_and_its_search_is_a_tool_call() -> None:
    answer, report = await answered("What is the dog called?", PEPPER)
    call, *deltas = report.take()
    assert isinstance(call, RunToolCalled)
    assert (call.tool, call.parameters) == (TOOL, {"words": ["call", "dog"]})
    assert call.result == {"found": [{"message": 1, "role": "user", "quote": "My dog is called Pepper."}]}
    assert "".join(delta.text for delta in deltas if isinstance(delta, RunDelta)) == answer.output["text"]


@pytest.mark.parametrize("sentence", ["Who?", "do you know it", "Remind me of it.", "谁？"])  # noqa: RUF001  # as above
def test_questions_are_recognised(sentence: str) -> None:
    assert is_question(sentence)
    assert not is_question("So be it.")


def test_the_newest_messages_are_kept_whole_and_the_oldest_left_out() -> None:
    history = [Said("user", str(number) * 40) for number in range(9)]
    assert newest_that_fit(history, 3 * (10 + 4)) == tuple(history[-3:])
    assert newest_that_fit(history, 3 * (10 + 4) - 1) == tuple(history[-2:])
    assert newest_that_fit([*history, Said("user", "x" * 4_000)], 100) == ()


def test_tokens_are_estimated_by_bytes() -> None:
    assert [tokens_of(text) for text in ("", "a", "abcd", "abcde", "日本語日本語")] == [0, 1, 1, 2, 5]
