"""A reply from the conversation itself: what was said before that shares the words of what is asked, quoted.

Words are compared by their stems (a few English endings) and, in scripts without spaces, by pairs of characters; a
word counts the less, the more sentences use it; of equals the newest wins. The same conversation gives the same reply.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from consumers.runner.agent import Answer, Reporter, Work
from consumers.runner.sentences import sentences_of, words_of
from events.base import JsonObject
from events.message import Role

TOOL = "find_in_conversation"

_QUOTES = 2
_QUOTED = 300
_NEAR = 0.75
_ENDINGS = (("'s", "es", "s"), ("ing", "ed", "d", "e"))
_STEM = 3
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2,}")
_ASKING = re.compile(r"(who|whose|whom|what|which|when|where|why|how|do you|did i|remind me|tell me)\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One sentence of the conversation: in which message it stands, counted from 1, and who wrote it."""

    message: int
    role: Role
    text: str
    stems: frozenset[str]


async def reply(work: Work, reporter: Reporter, note: str) -> Answer:
    """The reply to a turn; the search through the conversation is reported as a use of a tool."""
    said = list(sentences_of(work.prompt))
    questions = [sentence for sentence in said if is_question(sentence)]
    wanted = frozenset(stem for sentence in questions or said for stem in stems_of(sentence))
    found = _find(wanted, list(_conversation(work, said)))
    await reporter.used(
        TOOL,
        {"words": [*sorted(wanted)]},
        {"found": [{"message": one.message, "role": one.role, "quote": one.text[:_QUOTED]} for one in found]},
    )
    text = _worded(found, said, asked=bool(questions), told=bool(work.history))
    if not work.history:
        text = f"{text} ({note})"
    for piece in re.findall(r"\S+\s*", text):
        await reporter.say(piece)
    output: JsonObject = {"text": text, "quotes": [one.text for one in found], "note": note}
    return Answer(output)


def is_question(sentence: str) -> bool:
    """Whether a sentence asks something."""
    return sentence.endswith(("?", "\uff1f")) or _ASKING.match(sentence.lower()) is not None


def stems_of(sentence: str) -> Iterator[str]:
    """What two sentences about the same thing share."""
    for word in words_of(sentence):
        unspaced = _UNSPACED.findall(word)
        for run in unspaced:
            yield from (run[place : place + 2] for place in range(len(run) - 1))
        if not unspaced:
            yield _stem(word)


def _stem(word: str) -> str:
    for endings in _ENDINGS:
        fits = (ending for ending in endings if word.endswith(ending) and len(word) - len(ending) >= _STEM)
        word = word.removesuffix(next(fits, ""))
    return word


def _conversation(work: Work, said: Iterable[str]) -> Iterator[_Sentence]:
    """All that was stated so far, the statements of this very turn last."""
    for number, message in enumerate(work.history, 1):
        for text in sentences_of(message.text):
            if not is_question(text):
                yield _Sentence(number, message.role, text, frozenset(stems_of(text)))
    if any(map(is_question, said)):
        for text in said:
            if not is_question(text):
                yield _Sentence(len(work.history) + 1, "user", text, frozenset(stems_of(text)))


def _find(wanted: frozenset[str], sentences: list[_Sentence]) -> list[_Sentence]:
    """The best one or two: the user's own words first, the assistant's only where those say nothing."""
    spread = Counter(stem for sentence in sentences for stem in sentence.stems)
    for role in ("user", "assistant"):
        scored = [
            (sum(1 / (1 + spread[stem]) for stem in wanted & one.stems), one.message, place, one)
            for place, one in enumerate(sentences)
            if one.role == role and wanted & one.stems
        ]
        scored.sort(key=lambda item: item[:3], reverse=True)
        if scored:
            least = scored[0][0] * _NEAR
            best = [item for item in scored if item[0] >= least][:_QUOTES]
            return [item[3] for item in best]
    return []


def _worded(found: list[_Sentence], said: list[str], *, asked: bool, told: bool) -> str:
    quoted = " and ".join(f'"{one.text[:_QUOTED]}"' for one in found)
    if asked and found:
        return f"{'You' if found[0].role == 'user' else 'I'} said: {quoted}"
    if asked:
        return "Nothing that was said so far answers that." if told else "This conversation has only just begun."
    if found:
        return f"Noted. Earlier {'you' if found[0].role == 'user' else 'I'} said: {quoted}"
    return f'Noted: "{said[0][:_QUOTED]}"' if said else "Noted."
