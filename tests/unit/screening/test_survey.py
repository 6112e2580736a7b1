"""A table of words says of every pattern where it is exactly as RE2 does."""

import random
import string

import numpy as np

from screening.classifier.linear import cue_patterns
from screening.matching.expansion import Alternative, Wording, alternatives
from screening.matching.gate import Gate
from screening.matching.lexicon import Lexicon
from screening.matching.matcher import gates_of
from screening.matching.pattern import Pattern
from screening.matching.survey import Survey
from screening.rules import load
from screening.training import grammar

RULES = load()[0]
PATTERNS = list(dict.fromkeys([*cue_patterns().values(), *(gate for rule in RULES for gate in gates_of(rule))]))


def long_text() -> bytes:
    rng = random.Random(2)
    attacks = list(grammar.attacks(rng, 100))
    examples = [text for rule in RULES for text in (*rule.examples.match, *rule.examples.no_match)]
    texts = [*attacks, *examples, *(text.swapcase() for text in attacks)]
    texts += ["".join(rng.choices(string.printable, k=200)) for _ in range(20)]
    rng.shuffle(texts)
    return "\n".join(texts).encode()


TEXT = long_text()


def same(text: bytes, size: int, margin: int, gate: Gate, survey: Survey) -> None:
    starts = np.arange(0, len(text), size)
    ends = np.minimum(starts + size + margin, len(text))
    excerpts = [text[first:last] for first, last in zip(starts, ends, strict=True)]
    expected = gate.places(excerpts)
    assert survey.places(text, starts, ends) == expected
    assert expected


def test_a_survey_says_what_the_gates_say_wherever_excerpts_are_cut() -> None:
    gate = Gate(enumerate(PATTERNS))
    survey = Survey(enumerate(PATTERNS), gate)
    same(TEXT, 300, 90, gate, survey)
    same(TEXT, 2048, 0, gate, survey)
    same(TEXT[:5000], 7, 31, gate, survey)


def test_a_survey_of_nothing_is_empty() -> None:
    nothing = np.zeros(0, np.int64)
    assert Survey(enumerate(PATTERNS[:30]), Gate(enumerate(PATTERNS[:30]))).places(b"", nothing, nothing) == {}


def test_letters_that_are_others_when_case_is_nothing_are_found() -> None:
    patterns = ["(?i)mask", "(?i)\\bs\\w+k\\b", "(?i)ks"]
    text = "a ma\u017fk, a ma\u212a, \u017fk \u212a\u017f".encode()
    gate = Gate(enumerate(patterns))
    same(text, 20, 20, gate, Survey(enumerate(patterns), gate))


def test_patterns_are_written_out_as_far_as_they_can_be() -> None:
    assert alternatives(r"(?i)\b(?:Ignor\w*|rules?)\b") == [
        Alternative((Wording("ignor", edge_before=True),)),
        Alternative(
            (Wording("rule", edge_before=True, edge_after=True), Wording("rules", edge_before=True, edge_after=True))
        ),
    ]
    assert alternatives(r"(?i)\\x41|a \w+ b") == [
        Alternative((Wording("\\x41"),)),
        Alternative(pattern=r"(?i)a \w+ b"),
    ]
    [named] = alternatives(r"\b[A-Z]\w*Bot(?:ness|like|liked)\b")
    assert named == Alternative(
        pattern=r"\b[A-Z]\w*Bot(?:ness|like|liked)\b", required=frozenset({"botness", "botlike"})
    )
    assert [one.required for one in alternatives(r"(?i)(?:over)*there \d|[^a]x{3}|(?:very){0,2}\d")] == [
        frozenset({"there "}),
        None,
        None,
    ]


def test_of_what_is_required_one_string_is_in_every_match() -> None:
    lines = TEXT.splitlines()
    tried = 0
    for one in (one for pattern in PATTERNS for one in alternatives(pattern) if one.required):
        pattern = Pattern(one.pattern)
        for line in filter(pattern.found, lines):
            tried += 1
            assert any(text.encode() in line.lower() for text in one.required or ()), (one.pattern, line)
    assert tried > 100


def test_a_lexicon_finds_every_string_in_any_case_wherever_it_is() -> None:
    rng = random.Random(9)
    words = sorted({"".join(rng.choices("abc ", k=rng.randrange(4, 30))) for _ in range(300)})
    text = "".join(rng.choices("abcABC ", k=40_000)) + words[7].upper()
    there, lower = Lexicon([Wording(word) for word in words]).find(text.encode()), text.lower()
    places = {word: [place for place in range(len(lower)) if lower.startswith(word, place)] for word in words[::10]}
    expected = {(10 * number, place) for number, where in enumerate(places.values()) for place in where}
    found = set(zip(there.number.tolist(), there.start.tolist(), strict=True))
    assert len(found) == len(there.number)
    assert {(number, place) for number, place in found if number % 10 == 0} == expected
    assert len(expected) > 20
    assert (7, 40_000) in found
    assert (there.end - there.start == [len(words[number]) for number in there.number]).all()


def test_a_lexicon_finds_strings_between_letters_that_are_not_ascii() -> None:
    there = Lexicon([Wording("mask"), Wording("the rules", edge_before=True)]).find(
        ("\u0436" * 9 + "Mask\u4e00 the rules").encode()
    )
    assert sorted(zip(there.number.tolist(), there.start.tolist(), strict=True)) == [(0, 18), (1, 26)]


def test_strings_that_share_four_bytes_are_told_apart_by_others() -> None:
    letters = "bcdefghijklm"
    lexicon = Lexicon([Wording(f"{before}and{after}") for before in letters for after in letters])
    assert lexicon._count.sum() == len(letters) ** 2
    assert (lexicon._count > 9).sum() < len(letters) / 2
