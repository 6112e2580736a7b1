"""Texts drawn from a grammar of alternatives; the same seed gives the same texts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

Slots = Mapping[str, list[str]]


def load(name: str) -> Mapping[str, Slots]:
    """The grammar of this folder's files `name*.yaml`: slots by language, a slot's entries from all of them."""
    grammar: dict[str, dict[str, list[str]]] = {}
    for path in sorted(Path(__file__).parent.glob(f"{name}*.yaml")):
        for language, slots in yaml.safe_load(path.read_text("utf-8")).items():
            known = grammar.setdefault(language, {})
            for slot, entries in slots.items():
                known[slot] = [*known.get(slot, []), *map(str, entries)]
    return grammar


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


def _styled(text: str, rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.08:
        return text.upper()
    if draw < 0.22:
        return text.lower()
    if draw < 0.3:
        return text.replace(".", "").replace(",", "")
    return " ".join(text.split(" ")) if draw < 0.9 else f"**{text}**"


def attacks(rng: random.Random, count: int, *, english: float = 0.6) -> Iterator[str]:
    """`count` injections, about a third of them next to an innocent text."""
    grammars = load("attacks")
    others = [code for code in grammars if code != "en"]
    for _ in range(count):
        slots = grammars["en" if rng.random() < english else rng.choice(others)]
        text = _styled(" ".join(expand(rng.choice(slots["attack"]), slots, rng).split(" ")), rng)
        draw = rng.random()
        if draw < 0.35:
            carrier = rng.choice(slots["carrier"])
            gap = rng.choice([" ", "\n", "\n\n", ". ", "   "])
            text = carrier + gap + text if draw < 0.25 else text + gap + carrier
        yield text


def requests(rng: random.Random, count: int, *, english: float = 0.7) -> Iterator[str]:
    """`count` harmless texts, one in five made of two."""
    grammars, carriers = load("benign"), load("attacks")
    others = [code for code in grammars if code != "en"]
    for _ in range(count):
        code = "en" if rng.random() < english else rng.choice(others)
        slots = grammars[code]
        pool = slots["benign"]
        start = rng.choice(slots["story"] if code == "en" and rng.random() < 0.3 else pool)
        text = _styled(expand(start, slots, rng), rng)
        draw = rng.random()
        if draw < 0.1:
            text += rng.choice([" ", "\n", "\n\n"]) + expand(rng.choice(pool), slots, rng)
        elif draw < 0.2:
            text = rng.choice(carriers[code]["carrier"]) + rng.choice([" ", "\n", "\n\n"]) + text
        yield text


def documents(rng: random.Random, count: int) -> Iterator[str]:
    """`count` long harmless documents, each of one kind."""
    raw = yaml.safe_load((Path(__file__).parent / "documents.yaml").read_text("utf-8"))
    slots: Slots = {name: list(map(str, entries)) for name, entries in raw["slots"].items()}
    kinds: Mapping[str, list[str]] = raw["kinds"]
    for _ in range(count):
        sentences = kinds[rng.choice(list(kinds))]
        gap = rng.choice([" ", "\n", "\n\n", "\n    "])
        drawn = [sentence for _ in range(3) for sentence in rng.sample(sentences, len(sentences))]
        yield gap.join(expand(sentence, slots, rng) for sentence in drawn[: rng.randint(6, 30)])
