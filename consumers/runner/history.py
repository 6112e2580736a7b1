"""How much of a conversation an agent is given: the newest messages that fit, whole, never the oldest instead.

A token is estimated as four bytes of UTF-8, and each message costs four more for its frame: no tokenizer is asked, as
each model has another one. English comes out a little high, scripts of three bytes a character near the truth.
"""

from collections.abc import Sequence

from consumers.runner.agent import Said

BYTES_A_TOKEN = 4
_FRAME = 4


def tokens_of(text: str) -> int:
    """The estimate for one text."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)


def newest_that_fit(history: Sequence[Said], tokens: int) -> tuple[Said, ...]:
    """The longest end of `history` within `tokens`, in order; the first message that does not fit ends it."""
    kept: list[Said] = []
    for said in reversed(history):
        tokens -= tokens_of(said.text) + _FRAME
        if tokens < 0:
            break
        kept.append(said)
    return tuple(reversed(kept))
