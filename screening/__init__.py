"""The reflex rule engine: text in, verdict out; pure, linear in the length of the text."""

from functools import cache

from screening.engine import RuleError, Screener
from screening.model import Decision, Finding, Severity, Verdict
from screening.policy import Policy
from screening.stream import StreamRedactor

__all__ = ["Decision", "Finding", "Policy", "RuleError", "Screener", "Severity", "StreamRedactor", "Verdict", "redact"]


@cache
def _default() -> Screener:
    return Screener()


def redact(text: str) -> str:
    """`text` with personal data and secrets replaced by placeholders such as `[EMAIL_1]`, for logs and derived text."""
    return _default().redact(text)
