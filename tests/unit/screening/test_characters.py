"""What characters stand for, in texts in which many of them became several or none."""

import random

from screening.matching.pattern import Pattern
from screening.text.characters import Characters

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
