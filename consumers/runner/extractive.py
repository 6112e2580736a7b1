"""The offline agent: it answers by extraction, deterministically, and says that no model was asked.

A turn of a conversation is answered from the conversation; any other work from its own text, with the results of the
steps that it builds on beside that. Sentences are ranked by the weight of their words (how often the text uses them,
function words aside), the first ones a little more; acceptance criteria are matched by the words they share.
"""

from collections import Counter
from collections.abc import Iterable

from consumers.runner.agent import Answer, Reporter, Work
from consumers.runner.conversation import reply
from consumers.runner.sentences import sentences_of, words_of
from events.base import JsonObject

NOTE = "Answered offline by extraction; no model was asked."

_SUMMARY = 3
_KEYWORDS = 8
_MAX_CHARS = 200_000
_MET = 0.5


class ExtractiveAgent:
    """Finds what the text itself says; the same input gives the same answer."""

    id = "extractive"
    capabilities = frozenset({"answer", "chat", "extract", "summarize"})
    history_tokens = 50_000

    async def run(self, work: Work, reporter: Reporter) -> Answer:
        """A reply to a turn; else salient sentences, keywords, and which acceptance criteria the text speaks to."""
        if work.kind == "turn":
            return await reply(work, reporter, NOTE)
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
        if work.steps:
            output["steps"] = [{"step": one.step, "status": one.status, "text": one.text} for one in work.steps]
        return Answer(output)


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
