"""The own probes stay blind: none of their texts is among what the classifier is trained on, or in both of them."""

import json
import re
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
PROBE, TRAINING = ROOT / "bench" / "reflex" / "probe", ROOT / "screening" / "training"
FIRST, SECOND = ("attacks", "benign"), ("second-attacks", "second-benign")
LONG, ALIKE = 30, 6


def probe(*names: str) -> list[str]:
    files = [yaml.safe_load((PROBE / f"{name}.yaml").read_text("utf-8")) for name in names]
    return [text for styles in files for of in styles.values() for text in of]


def strings(node: object) -> list[str]:
    if isinstance(node, dict):
        return [text for part in node.values() for text in strings(part)]
    return [text for part in node for text in strings(part)] if isinstance(node, list) else [str(node)]


def own_texts() -> dict[str, list[tuple[str, int]]]:
    """Text and label of every text written for training, by slice."""
    files = {path.stem: path.read_text("utf-8").splitlines() for path in (TRAINING / "own").glob("*.jsonl")}
    rows = {slice_: [json.loads(line) for line in lines] for slice_, lines in files.items()}
    return {slice_: [(row["text"], row["label"]) for row in of] for slice_, of in rows.items()}


def runs_of_words(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at : at + ALIKE]) for at in range(len(words) - ALIKE + 1)}


def test_no_sentence_of_the_training_grammar_stands_in_a_probe() -> None:
    written = [text for path in TRAINING.glob("*.yaml") for text in strings(yaml.safe_load(path.read_text("utf-8")))]
    sentences = {text.lower() for text in written if "{" not in text and len(text) >= LONG}
    assert len(sentences) > 500
    together = "\n\n".join(probe(*FIRST, *SECOND)).lower()
    assert [sentence for sentence in sentences if sentence in together] == []


def test_every_text_of_the_probes_is_there_once() -> None:
    texts = probe(*FIRST, *SECOND)
    assert len(set(texts)) == len(texts)


def test_the_second_probe_is_large_enough_to_tell_five_of_a_hundred() -> None:
    assert len(probe("second-attacks")) >= 100
    assert len(probe("second-benign")) >= 140


def test_no_six_words_of_an_own_text_stand_in_a_probe() -> None:
    probed = {run for text in probe(*FIRST, *SECOND) for run in runs_of_words(text)}
    assert [text for of in own_texts().values() for text, _ in of if runs_of_words(text) & probed] == []


def test_every_slice_of_own_texts_has_both_labels_and_no_text_twice() -> None:
    slices = own_texts()
    assert len(slices) == 15
    for of in slices.values():
        labels = Counter(label for _, label in of)
        assert set(labels) == {0, 1}
        assert min(labels.values()) >= 100
    every = Counter(text for of in slices.values() for text, _ in of)
    assert [text for text, times in every.items() if times > 1] == []
