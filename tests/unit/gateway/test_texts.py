"""Texts that are remembered for whoever wrote them, and for nobody else."""

from gateway.compat.texts import Texts


def test_a_digest_opens_its_owners_text_and_nobody_elses() -> None:
    texts = Texts()
    texts.keep("acme/alice", "d1", "secret")
    assert texts.get("acme/alice", "d1") == "secret"
    assert [texts.get(other, "d1") for other in ("acme/bob", "evil/alice")] == [None, None]


def test_the_texts_that_were_not_asked_for_longest_make_room() -> None:
    texts = Texts(limit=10)
    for name in ("d1", "d2"):
        texts.keep("acme/alice", name, "12345")
    assert texts.get("acme/alice", "d1")
    texts.keep("acme/bob", "d3", "12345")
    assert [texts.get("acme/alice", name) for name in ("d1", "d2")] == ["12345", None]
