"""The own probes stay blind: none of their texts is among what the classifier is trained on, or in both of them."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
PROBE, TRAINING = ROOT / "bench" / "reflex" / "probe", ROOT / "screening" / "training"
FIRST, SECOND = ("attacks", "benign"), ("second-attacks", "second-benign")
LONG = 30


def probe(*names: str) -> list[str]:
    files = [yaml.safe_load((PROBE / f"{name}.yaml").read_text("utf-8")) for name in names]
    return [text for styles in files for of in styles.values() for text in of]


def strings(node: object) -> list[str]:
    if isinstance(node, dict):
        return [text for part in node.values() for text in strings(part)]
    return [text for part in node for text in strings(part)] if isinstance(node, list) else [str(node)]


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
