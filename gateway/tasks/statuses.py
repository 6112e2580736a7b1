"""Which command leads a task into the status that somebody names, in our words or in the second document's."""

from events.task import FINAL, ControlAction

_OURS = {"pending": "submitted", "in_progress": "running", "completed": "succeeded"}
_ENDS: dict[str, ControlAction] = {"succeeded": "complete", "failed": "fail", "cancelled": "cancel"}
_BEGINS: dict[str, ControlAction] = {"paused": "resume", "failed": "retry", "timed_out": "retry"}
_WAYS = ("running", "paused", *_ENDS)


def action_for(word: str, status: str, *, held: bool) -> ControlAction | None:
    """The command that brings a task of this status to what the word says; None if none does.

    `held`: it is on hold. `ready` and `running` mean the same here: what is ready its agent begins, and no command.
    """
    wanted = _OURS.get(word, word)
    if wanted in ("ready", "running"):
        return "start" if held else _BEGINS.get(status)
    if wanted == "paused":
        return "pause" if status == "running" else None
    return None if status in FINAL else _ENDS.get(wanted)


def possible(status: str, *, held: bool) -> list[str]:
    """The words for which there is a command now."""
    return [word for word in _WAYS if action_for(word, status, held=held) is not None]
