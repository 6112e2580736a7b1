"""An event as one line: when, what, and the one detail that matters."""

from datetime import datetime

from rich.text import Text

from cli.output import coloured, visible
from cli.stream import Happening

_DETAILS = ("agent_id", "decision", "outcome", "note", "reason")


def step(happening: Happening, began: datetime) -> Text:
    """A line of `submit --watch`: seconds since `began`, the event's name, its detail."""
    seconds = (happening.time - began).total_seconds()
    return Text.assemble((f"{max(0.0, seconds):8.3f}s  ", "dim"), *_said(happening))


def entry(happening: Happening) -> Text:
    """A line of `tail` and of the demo: local time, what happened to which task, its detail."""
    local = happening.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return Text.assemble((f"{local}  {task_of(happening)}  ", "dim"), *_said(happening))


def task_of(happening: Happening) -> str:
    """The id of the task that the event is about, or of its subject."""
    return str(happening.data.get("task_id") or happening.subject)


def _said(happening: Happening) -> tuple[Text, tuple[str, str]]:
    aggregate, _, name = happening.event.partition(".")
    named = Text.assemble(f"{aggregate}.", coloured(name))
    named.pad_right(max(0, 18 - len(named)))
    detail = visible(next((str(happening.data[key]) for key in _DETAILS if happening.data.get(key)), ""))
    return named, (f" {detail}" if detail else "", "dim")
