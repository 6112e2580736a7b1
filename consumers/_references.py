"""What a task refers to: the contexts among its `context.refs`, as they are now and as policy lets an agent see them.

A reference that leads to none of the owner's contexts is a note for the agent and no failure; what else stands among
the references is left alone. The texts are screened again: what may stand in a context is not what every kind of task
may hold.
"""

import asyncio
from collections.abc import Callable, Sequence

from pydantic_core import to_json

from events.base import JsonObject
from events.context import referred_context
from events.task import TaskSpec
from events.texts import replace_texts, texts_in
from events.work import MAX_WORK, WorkContext
from screening.engine import Screener
from screening.model import Verdict
from screening.sealing import kind_of
from screening.settings import ScreeningSettings
from storage.contexts import SharedContext
from storage.lookup import Lookup, TaskView

MAX_CONTEXTS = 10
"""Contexts that one task brings along."""
MAX_BYTES = 262_144
"""Of all of them together."""
_DATA = "data"

_UNKNOWN = "There is no such context."
_TOO_MANY = f"Left out: a task brings at most {MAX_CONTEXTS} contexts along."
_TOO_LARGE = "Left out: the contexts of a task are too large together."
_WITHHELD = "Withheld by policy."


class References:
    """Finds contexts for those who hand out work.

    `screener` is asked for when the first one is to be screened, beside the event loop: it may have to be compiled.
    """

    def __init__(self, lookup: Lookup, screener: Callable[[], Screener] | None = None) -> None:
        self._lookup = lookup
        self._screener = screener or (lambda: ScreeningSettings().screener())

    async def of(self, task: TaskView) -> tuple[WorkContext, ...]:
        """The contexts that the task names, in its order. Raises StoreUnavailableError."""
        named = {ref: one for ref in task.spec.context.refs if (one := referred_context(ref)) is not None}
        if not named:
            return ()
        wanted = [*named.values()][:MAX_CONTEXTS]
        found = await self._lookup.contexts(task.tenant, task.owner, wanted)
        shown: list[WorkContext] = []
        room = min(MAX_BYTES, MAX_WORK - _size_of(task.spec))
        for ref, one in named.items():
            context = found.get(one)
            size = len(to_json(context.data)) if context is not None else 0
            if context is None or size > room:
                why = _TOO_LARGE if context is not None else _UNKNOWN if one in wanted else _TOO_MANY
                shown.append(WorkContext(ref=ref, note=why))
            else:
                room -= size
                shown.append(await self._shown(task, ref, context))
        return tuple(shown)

    async def _shown(self, task: TaskView, ref: str, context: SharedContext) -> WorkContext:
        texts = {place: text for place, text in texts_in(context.data, _DATA) if text}
        data = await asyncio.to_thread(self._treated, task, context.data, texts)
        if data is None:
            return WorkContext(ref=ref, note=_WITHHELD)
        return WorkContext(ref=ref, scope=context.scope, version=context.version, data=data)

    def _treated(self, task: TaskView, data: JsonObject, texts: dict[str, str]) -> JsonObject | None:
        """The data with what policy redacts for this kind of task replaced; None if it blocks some of it."""
        verdict = self._screener().screen(texts, kind=task.spec.kind, tenant=task.tenant)
        if verdict.decision == "block":
            return None
        return replace_texts(data, _DATA, _unnumbered(verdict)) if verdict.redacted else data


def _unnumbered(verdict: Verdict) -> dict[str, str]:
    """The redacted texts with `[EMAIL]` for `[EMAIL_1]`: numbers are the session's, and name other values there."""
    texts = dict(verdict.redacted or {})
    for name in verdict.placeholders or ():
        texts = {place: text.replace(f"[{name}]", f"[{kind_of(name)}]") for place, text in texts.items()}
    return texts


def as_text(contexts: Sequence[WorkContext]) -> str:
    """Contexts as an agent reads them that is given text."""
    return "\n\n".join(map(_told, contexts))


def _told(context: WorkContext) -> str:
    if context.data is None:
        return f"[{context.ref}] {context.note}"
    return f"[{context.ref}, {context.scope}, version {context.version}]\n{to_json(context.data).decode()}"


def _size_of(spec: TaskSpec) -> int:
    return len(spec.model_dump_json())
