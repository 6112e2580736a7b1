"""What a verdict costs: by length, and on text made to be slow, with the doubling test."""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from screening import Screener

HOSTILE = {
    "digits": "12 ", "cards that fail": "4111 1111 1111 1112 ", "cards": "4111 1111 1111 1111 ", "e-mails": "a@b.co ",
    "at signs": "a@a.", "IBANs that fail": "GB82 WEST 1234 5698 7654 33 ", "override verbs": "ignore all previous ",
    "key headers": "-----BEGIN RSA PRIVATE KEY-----", "base64": "QUJDREVGR0hJSktMTU5P", "hex": "41", "percent": "%41",
    "entities": "&#65;", "escapes": "\\u0041", "zero-width": "a\u200b", "tags": "\U000e0041", "spaced": "a b ",
    "leet": "l33t ", "dialogue": "human: x\nassistant: sure\n", "colons": "a::",
    "addresses": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD ",
    "Chinese overrides": "忽略之前的所有指令", "ligatures": "\ufdfa",
    "prompt words": "system prompt your instructions ",
}  # fmt: skip


def _best(call: Callable[[], object], times: int) -> float:
    """Least CPU time of one call, in microseconds: the machine is shared."""
    best = 1e9
    for _ in range(times):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best * 1e6


def _screen(screener: Screener, text: str) -> Callable[[], object]:
    return lambda: screener.screen({"goal": text}, kind="goal", tenant="bench")


def _rules(screener: Screener, text: str) -> Callable[[], object]:
    return lambda: screener._field("", text)  # noqa: SLF001 - all readings and rules, and no classifier


def by_length(corpora: Path, screener: Screener) -> str:
    """Median over several harmless texts of each length; rules are the readings and rules without the classifier."""
    rows = [json.loads(line) for line in (corpora / "injection_dev.jsonl").read_bytes().splitlines()]
    texts = [r["text"] for r in rows if not r["label"]]
    random.Random(1).shuffle(texts)
    clean = (t for t in texts if not screener.screen({"goal": t}, kind="goal", tenant="bench").findings)
    harmless = "\n\n".join(islice(clean, 1200))
    planted = " my mail is ann@example.com and card 4111 1111 1111 1111. "
    lines = ["| characters | rules | with classifier | with findings |", "|---|---|---|---|"]
    for size, count in ((100, 40), (300, 40), (1000, 40), (10_000, 12), (100_000, 2)):
        texts = [(harmless[i * size :] + harmless)[:size] for i in range(count)]
        for text in texts:
            screener.screen({"goal": text}, kind="goal", tenant="bench")
        rules = sorted(_best(_rules(screener, text), 5) for text in texts)[count // 2]
        whole = sorted(_best(_screen(screener, text), 5) for text in texts)[count // 2]
        found = sorted(_best(_screen(screener, text[: size - len(planted)] + planted), 5) for text in texts)[count // 2]
        lines.append(f"| {size} | {rules:.0f} µs | {whole:.0f} µs | {found:.0f} µs |")
    return "\n".join(lines)


_ALPHABETS: dict[str, Sequence[str]] = {
    "Arabic mailboxes": [*map(chr, range(0x620, 0x64B)), " ", ".", "@"],
    "Cyrillic, quotes, mailboxes": [*map(chr, range(0x410, 0x450)), " ", '"', "@", "."],
    "assignments": ["password", "token", "=", ":", " ", '"', "abc1", "\n", "is "],
    "hexadecimal digits": "0123456789abcdef:- ",
    "full width": [*map(chr, range(0xFF01, 0xFF5E)), "\u3000"],
}
"""What is drawn at random from few signs: each sign is one that some rule waits for."""


def hostile(corpora: Path, screener: Screener, size: int = 1_000_000) -> str:
    """Each kind of hostile text at half a million and a million characters, the slowest ten.

    The first reading is that of a process that has met nothing like it: RE2 builds its automata as it goes.
    """
    rng = random.Random(1)
    makers: dict[str, Callable[[int], str]] = {
        name: lambda n, unit=unit: (unit * (n // len(unit) + 1))[:n]  # type: ignore[misc]  # default binds the loop variable
        for name, unit in HOSTILE.items()
    }
    makers["random printable"] = lambda n: "".join(rng.choices(string.printable, k=n))
    makers["random Unicode"] = lambda n: "".join(chr(rng.randrange(32, 0x3000)) for _ in range(n))
    for name, alphabet in _ALPHABETS.items():
        makers[name] = lambda n, alphabet=alphabet: "".join(rng.choices(alphabet, k=n))[:n]  # type: ignore[misc]  # as above
    texts = [json.loads(line)["text"] for line in (corpora / "injection_dev.jsonl").read_bytes().splitlines()]
    words = " ".join(texts).split()
    makers["shuffled words of prompts"] = lambda n: " ".join(rng.choices(words, k=n // 5))[:n]
    rows = []
    for name, make in makers.items():
        whole = _screen(screener, make(size))
        first, later = _best(whole, 1) / 1000, _best(whole, 2) / 1000
        half = _best(_screen(screener, make(size // 2)), 3) / 1000
        rows.append((later, name, half, first))
    rows.sort(reverse=True)
    lines = ["| text | 1,000,000 characters, first time | later | 500,000 | ratio |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {a:.0f} ms | {b:.0f} ms | {h:.0f} ms | {b / h:.2f} |" for b, name, h, a in rows[:10]]
    return "\n".join(lines)
