"""Several short texts are read as one, and by themselves where that one gives doubt."""

from screening.fields import DOUBT, Bundle
from screening.model import EVERYTHING, Checks, Examination

DOUBTFUL, CLEAN = Examination((), DOUBT), Examination((), DOUBT / 2)
LONG, OTHER = "a text that is longer than a word or two", "another one, which is just as long"
WORDS = {"x": "export", "y": "invoice"}


class Reader:
    """Finds nothing, and remembers what it was given."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, text: str, checks: Checks = EVERYTHING) -> Examination:  # noqa: ARG002 - as Examine has it
        self.read.append(text)
        return Examination((), len(self.read) / 100)


def test_in_doubt_each_text_is_read_by_itself_but_words_together() -> None:
    reader = Reader()
    fields = {"x": WORDS["x"], "a": LONG, "y": WORDS["y"], "b": OTHER}
    dealt = Bundle(tuple(fields.items())).deal_out(DOUBTFUL, reader)
    assert reader.read == [Bundle(tuple(WORDS.items())).text, LONG, OTHER]
    assert list(dealt) == list(fields)
    assert {field: what.score for field, what in dealt.items()} == {"x": 0.01, "a": 0.02, "y": 0.0, "b": 0.03}


def test_words_alone_are_not_read_again() -> None:
    reader = Reader()
    dealt = Bundle(tuple(WORDS.items())).deal_out(DOUBTFUL, reader)
    assert reader.read == []
    assert dealt == {"x": DOUBTFUL, "y": Examination()}


def test_without_doubt_nothing_is_read_again() -> None:
    reader = Reader()
    dealt = Bundle((("a", LONG), ("b", OTHER))).deal_out(CLEAN, reader)
    assert reader.read == []
    assert dealt == {"a": CLEAN, "b": Examination()}
