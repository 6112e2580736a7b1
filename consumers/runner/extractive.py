"""The offline agent: it answers by extraction, deterministically, and says that no model was asked.

Sentences are ranked by the weight of their words (how often the text uses them, how rare they are in a sentence
list of function words), the first ones a little more; acceptance criteria are matched by the words they share.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from consumers.runner.agent import Answer, Work
from events.base import JsonObject

NOTE = "Answered offline by extraction; no model was asked."

_SUMMARY = 3
_KEYWORDS = 8
_MAX_CHARS = 200_000
_MET = 0.5
_MIN_WORD = 3
_ENDS = ".!?\n"

_COMMON = frozenset(
    """a about after all also an and any are as at be because been before but by can could did do does for from had has
    have he her his how i if in into is it its just like may me more most must my no not of on one only or other our
    out over please shall she should so some such than that the their them then there these they this those to two up
    us was we were what when where which while who will with would you your""".split()  # noqa: SIM905  # a list reads worse
)


class ExtractiveAgent:
    """Finds what the text itself says; the same input gives the same answer."""

    id = "extractive"

    async def run(self, work: Work) -> Answer:
        """Salient sentences, keywords, and which acceptance criteria the text speaks to."""
        source = f"{work.prompt}\n{work.context}"[:_MAX_CHARS]
        sentences = list(sentences_of(source))
        weights = Counter(word for sentence in sentences for word in words_of(sentence))
        chosen = _salient(sentences, weights)
        output: JsonObject = {
            "text": " ".join(chosen) or work.prompt.strip(),
            "sentences": [*chosen],
            "keywords": [word for word, _ in sorted(weights.items(), key=lambda kv: (-kv[1], kv[0]))[:_KEYWORDS]],
            "acceptance": [_criterion(criterion, sentences) for criterion in work.acceptance_criteria],
            "note": NOTE,
        }
        return Answer(output)


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text; a line break ends one too."""
    start = 0
    for place, character in enumerate(text):
        following = text[place + 1 : place + 2]
        if character in _ENDS and (character == "\n" or not following or following.isspace()):
            if sentence := text[start : place + 1].strip():
                yield sentence
            start = place + 1
    if sentence := text[start:].strip():
        yield sentence


def words_of(sentence: str) -> Iterator[str]:
    """The words that carry meaning, in lower case."""
    cleaned = "".join(character if character.isalnum() or character in "-'" else " " for character in sentence.lower())
    for word in cleaned.split():
        bare = word.strip("-'")
        if len(bare) >= _MIN_WORD and bare not in _COMMON:
            yield bare


def _salient(sentences: list[str], weights: Counter[str]) -> list[str]:
    """The best few sentences in the order of the text."""
    scored: list[tuple[float, int]] = []
    for place, sentence in enumerate(sentences):
        words = list(words_of(sentence))
        if words:
            early = 1.0 + 0.5 / (1 + place)
            scored.append((early * sum(weights[word] for word in words) / (len(words) + 4), place))
    best = sorted(sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:_SUMMARY], key=lambda pair: pair[1])
    return [sentences[place] for _, place in best]


def _criterion(criterion: str, sentences: Iterable[str]) -> JsonObject:
    """Whether the text speaks to a criterion: half of its words in one sentence, which is quoted."""
    wanted = set(words_of(criterion))
    best, evidence = 0.0, None
    for sentence in sentences:
        share = len(wanted & set(words_of(sentence))) / len(wanted) if wanted else 0.0
        if share > best:
            best, evidence = share, sentence
    met = best >= _MET
    return {"criterion": criterion, "met": met, "evidence": evidence if met else None}
