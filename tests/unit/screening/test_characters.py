"""What characters stand for, in texts in which many of them became several or none."""

import random

import pytest

from screening.matching.pattern import Pattern
from screening.text.characters import Characters
from screening.text.foreign import Foreign

CHARACTERS = Characters()
HIDDEN = Pattern(r"(?i)[a-z][\x{200B}-\x{200F}\x{2060}-\x{2064}\x{FEFF}\x{AD}\x{202A}-\x{202E}]+[a-z]")
POOL = [
    " ",
    "a",
    "B",
    "z",
    "1",
    "\u200b",
    "\u00ad",
    "\u2060",
    "\ufe0f",
    "\u00e9",
    "\u0436",
    "\ufb01",
    "\u338f",
    "\u0663",
]


def texts(seed: int, pool: list[str]) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(pool, k=rng.choice((1, 2, 3, 8, 40, 900, 5_000)))) for _ in range(200)]


def test_each_character_of_a_reading_points_at_the_one_it_came_from() -> None:
    forms = {char: CHARACTERS.base(char)[0].text for char in POOL}
    for text in texts(1, POOL):
        view, _ = CHARACTERS.base(text)
        assert view.text == "".join(forms[char] for char in text)
        expected = [place for place, char in enumerate(text) for _ in forms[char]]
        assert (view.origin.tolist() if view.origin is not None else list(range(len(text)))) == expected


def test_letters_with_something_unseen_between_them_are_counted_up_to_eight() -> None:
    counts = set()
    for text in [*texts(2, POOL), *texts(3, ["a", "Z", " ", "\u200b"]), *texts(4, ["x", "\u00ad", "\ufe0f"])]:
        count = min(8, sum(1 for _ in HIDDEN.spans(text.encode())))
        assert CHARACTERS.base(text)[1].invisible == count, text
        counts.add(count)
    assert counts >= {0, 1, 2, 3, 8}


def test_a_long_text_with_few_foreign_characters_is_read_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(6)
    foreign = "é\u2026\u00a0\u200b\ufb01中я\u0301\uff21\U0001f600\U000e0041\u00ad\u0251ŵ\ud800"
    for count in (0, 1, 3, 30, 90, 140):
        text = list("The river is quiet today, and the boats are in the harbour. " * 60)
        for _ in range(count):
            text.insert(rng.randrange(len(text)), rng.choice(foreign[: rng.randrange(1, len(foreign) + 1)]))
        sparse = read(whole := "".join(text))
        with monkeypatch.context() as patch:
            patch.setattr(Foreign, "few", lambda _: None)
            assert read(whole) == sparse


def read(text: str) -> list[object]:
    """All that is made of a text's characters, in values that can be compared."""
    view, disguise = CHARACTERS.base(text)
    views = [view, *(CHARACTERS.folded(view, look_alikes=alike) for alike in (False, True))]
    places = [None if one is None or one.origin is None else one.origin.tolist() for one in views]
    return [disguise, CHARACTERS.is_marked(view), places, *(one and (one.raw, one.name) for one in views)]
