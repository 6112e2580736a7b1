"""W3C Trace Context: one trace from the request to every event it causes (traceparent, level 1)."""

import re
import secrets

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
_ZERO_TRACE, _ZERO_SPAN = "0" * 32, "0" * 16


def parse(traceparent: str | None) -> str | None:
    """Return a valid traceparent unchanged, anything else as None (the RFC says: start anew)."""
    if traceparent is None:
        return None
    match = _TRACEPARENT.match(traceparent)
    if match is None or match[1] == _ZERO_TRACE or match[2] == _ZERO_SPAN:
        return None
    return traceparent


def start() -> str:
    """A new sampled trace with a random trace and span id."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child(traceparent: str | None, event_id: str) -> str | None:
    """The same trace with the end of the event's UUID as span id, so that a repeated event keeps its span.

    None for what is no traceparent: a trace cannot be made up here, as a repeat must come out the same.
    """
    if parse(traceparent) is None or traceparent is None:
        return None
    return f"{traceparent[:36]}{event_id[19:23]}{event_id[24:]}{traceparent[52:]}"


def call(traceparent: str | None) -> str | None:
    """The same trace with a span of its own: what a call to another service carries. None for what is none."""
    if parse(traceparent) is None or traceparent is None:
        return None
    return f"{traceparent[:36]}{secrets.token_hex(8)}{traceparent[52:]}"


def trace_id(traceparent: str | None) -> str | None:
    """The 32 hex digits of the trace, or None."""
    return traceparent[3:35] if traceparent else None
