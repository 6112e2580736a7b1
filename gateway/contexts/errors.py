"""Why a context was not found or not changed, and what the client needs to know to go on."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from events.errors import PermanentError
from gateway.errors import NotFoundError, OutcomeError, RefusedError


class ContextNotFoundError(NotFoundError):
    """There is no context of yours under this id, or its time is over."""

    code = "context_not_found"


class KeyNotFoundError(NotFoundError):
    """There is nothing at this place of the context; a place that holds null is found."""

    code = "key_not_found"


class NoSuchSessionError(NotFoundError):
    """There is no session of yours under this id."""


class _HintedError(RefusedError):
    hint: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[str, object] = {"hint": self.hint}


class ContextConflictError(_HintedError):
    """Somebody was quicker: the context has another version than you expect. `conflicts` changed since."""

    code = "context_conflict"
    hint = "Read the context again, and send the change with the version that you saw."

    def __init__(self, version: int, conflicts: Sequence[str]) -> None:
        super().__init__()
        self.members |= {"version": version, "conflicts": list(conflicts)}


class MergeConflictError(ContextConflictError):
    """What is to be joined disagrees at the places in `conflicts`; nothing was written."""

    hint = "Settle these places in one of the contexts, or name a strategy that decides."


class ScopeMismatchError(_HintedError):
    """What is of a narrower scope does not become global, or part of another scope, by itself."""

    code = "context_scope_mismatch"
    hint = (
        "Only contexts of a session or an agent are promoted (POST .../promote-to-global) or shared;"
        " a global one takes in global ones alone, a temporary one is merged into another."
    )


class NotAnObjectError(RefusedError):
    """A place leads into something that is no object."""

    code = "not_an_object"


class ContextTooLargeError(RefusedError):
    """The context would hold more bytes or values than one may."""

    code = "context_too_large"


class ContextTooDeepError(RefusedError):
    """The context would be nested deeper than one may be."""

    code = "context_too_deep"


class UnusableKeyError(RefusedError):
    """A key is empty or holds a dot, or a place is too long."""

    code = "unusable_key"


class TooManyContextsError(RefusedError):
    """You have as many contexts as anybody may have: delete one."""

    code = "too_many_contexts"


_OF_CONTEXTS: Mapping[str, type[NotFoundError | RefusedError]] = {
    "unknown_context": ContextNotFoundError,
    "unknown_session": NoSuchSessionError,
    "context_scope_mismatch": ScopeMismatchError,
    "not_an_object": NotAnObjectError,
    "context_too_large": ContextTooLargeError,
    "context_too_deep": ContextTooDeepError,
    "unusable_key": UnusableKeyError,
    "too_many_contexts": TooManyContextsError,
}


def context_refusal(code: str) -> PermanentError:
    """The error for a refused command about a context."""
    return _OF_CONTEXTS[code]() if code in _OF_CONTEXTS else OutcomeError(code)
