"""Texts drawn from a grammar of alternatives; the same seed gives the same texts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

Slots = Mapping[str, list[str]]


def load(name: str) -> dict[str, Slots]:
    """One grammar file of this folder: slots by language."""
    raw: dict[str, Slots] = yaml.safe_load((Path(__file__).parent / name).read_text("utf-8"))
    return raw


def expand(template: str, slots: Slots, rng: random.Random) -> str:
    """`template` with each `{slot}` replaced by an entry drawn for it, recursively; unknown slots stay."""
    head, mark, rest = template.partition("{")
    if not mark:
        return template
    name, mark, tail = rest.partition("}")
    if mark and name in slots:
        return head + expand(rng.choice(slots[name]), slots, rng) + expand(tail, slots, rng)
    return head + "{" + expand(rest, slots, rng)


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
    grammars = load("attacks.yaml")
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
    grammars, carriers = load("benign.yaml"), load("attacks.yaml")
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
