"""Texts drawn from a grammar of alternatives; the same seed gives the same texts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml

Slots = Mapping[str, list[str]]
MAIN = ("de", "fr", "es", "pt", "it", "zh", "ja", "ru", "ar", "hi", "tr")
"""The languages other than English that are drawn three times as often as the rest."""
_NARROW = frozenset({
    "attacks", "attacks-forms", "attacks-languages", "benign", "benign-forms", "benign-languages", "documents",
})  # fmt: skip
"""The files that are near to the well-known attacks and to what looks like them."""


@cache
def load(name: str, *, narrow: bool = False) -> Mapping[str, Slots]:
    """The grammar of this folder's files `name*.yaml`: slots by language, a slot's entries from all of them."""
    grammar: dict[str, dict[str, list[str]]] = {}
    for path in _files(name, narrow=narrow):
        for language, slots in yaml.safe_load(path.read_text("utf-8")).items():
            known = grammar.setdefault(language, {})
            for slot, entries in slots.items():
                known[slot] = [*known.get(slot, []), *map(str, entries)]
    return grammar


def _files(name: str, *, narrow: bool) -> list[Path]:
    paths = sorted(Path(__file__).parent.glob(f"{name}*.yaml"))
    return [path for path in paths if path.stem in _NARROW] if narrow else paths


def expand(template: str, slots: Slots, rng: random.Random, fixed: dict[str, str] | None = None) -> str:
    """`template` with each `{slot}` replaced by an entry drawn for it, recursively; unknown slots stay.

    The slots named in the slot `once` are drawn once: everywhere in a text they are the same.
    """
    fixed = {} if fixed is None else fixed
    head, mark, rest = template.partition("{")
    if not mark:
        return template
    name, mark, tail = rest.partition("}")
    if not mark or name not in slots:
        return head + "{" + expand(rest, slots, rng, fixed)
    if name not in fixed:
        drawn = expand(rng.choice(slots[name]), slots, rng, fixed)
        if name not in slots.get("once", ()):
            return head + drawn + expand(tail, slots, rng, fixed)
        fixed[name] = drawn
    return head + fixed[name] + expand(tail, slots, rng, fixed)


def _others(grammars: Mapping[str, Slots], *, narrow: bool) -> list[str]:
    """The languages other than English, as often as they are to be drawn."""
    return [code for code in grammars if code != "en" for _ in range(3 if code in MAIN and not narrow else 1)]


def _styled(text: str, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.08:
        return text.upper()
    if draw < 0.22:
        return text.lower()
    if draw < 0.3:
        return text.replace(".", "").replace(",", "")
    return " ".join(text.split(" ")) if draw < 0.9 else f"**{text}**"


def attacks(rng: random.Random, count: int, *, english: float = 0.5, narrow: bool = False) -> Iterator[str]:
    """`count` injections, about a third of them next to an innocent text."""
    grammars = load("attacks", narrow=narrow)
    others = _others(grammars, narrow=narrow)
    for _ in range(count):
        slots = grammars["en" if rng.random() < english else rng.choice(others)]
        text = _styled(" ".join(expand(rng.choice(slots["attack"]), slots, rng).split(" ")), rng)
        draw = rng.random()
        if draw < 0.35:
            carrier = rng.choice(slots["carrier"])
            gap = rng.choice([" ", "\n", "\n\n", ". ", "   "])
            text = carrier + gap + text if draw < 0.25 else text + gap + carrier
        yield text


def requests(rng: random.Random, count: int, *, english: float = 0.6, narrow: bool = False) -> Iterator[str]:
    """`count` harmless texts, one in five made of two; in the frames of hidden orders stand remarks, too."""
    grammars, carriers = load("benign", narrow=narrow), load("attacks", narrow=narrow)
    others = _others(grammars, narrow=narrow)
    for _ in range(count):
        code = "en" if rng.random() < english else rng.choice(others)
        slots = grammars[code]
        pool = slots["benign"]
        start = rng.choice(pool)
        if code == "en" and (kind := rng.random()) < 0.45:
            start = rng.choice(slots["story"] if kind < 0.33 else carriers[code].get("around", pool))
        text = _styled(expand(start, slots, rng), rng)
        draw = rng.random()
        if draw < 0.1:
            text += rng.choice([" ", "\n", "\n\n"]) + expand(rng.choice(pool), slots, rng)
        elif draw < 0.2:
            text = rng.choice(carriers[code]["carrier"]) + rng.choice([" ", "\n", "\n\n"]) + text
        yield text


def documents(rng: random.Random, count: int, *, narrow: bool = False) -> Iterator[str]:
    """`count` long harmless documents, each of one kind."""
    kinds: list[tuple[Slots, list[str]]] = []
    for path in _files("documents", narrow=narrow):
        raw = yaml.safe_load(path.read_text("utf-8"))
        slots: Slots = {name: list(map(str, entries)) for name, entries in raw["slots"].items()}
        kinds += [(slots, list(map(str, sentences))) for sentences in raw["kinds"].values()]
    for _ in range(count):
        slots, sentences = rng.choice(kinds)
        gap = rng.choice([" ", "\n", "\n\n", "\n    "])
        drawn = [sentence for _ in range(3) for sentence in rng.sample(sentences, len(sentences))]
        yield gap.join(expand(sentence, slots, rng) for sentence in drawn[: rng.randint(6, 30)])
