"""What clients and outside agents write besides tasks is screened at the edge, before it is an event.

The texts of a task are the reflex consumer's (`task.submitted` -> `task.checked`). All else that a client writes (the
name and files of a workflow, the title of a session, a reason) has no verdict of its own: it is refused here, or goes
on. What an outside agent brings back is treated as what our own agents bring back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from pydantic import JsonValue

from events.base import Event, EventData, JsonObject
from events.context import ContextChange
from events.errors import TransientError
from events.run import RunEvent
from events.session import SessionSpec
from events.task import TaskSubmitted
from events.texts import texts_in
from gateway.errors import BlockedByPolicyError
from screening.decide import decide, reason
from screening.engine import Screener
from screening.outgoing import Outgoing, notes
from screening.settings import ScreeningSettings

Known = Callable[[str, str], Awaitable[dict[str, str]]]

_KIND = "upload"
_LONG = 20_000
_NO_TEXTS = {
    *("task_id", "run_id", "execution_id", "session_id", "workflow_id", "proposal_id", "agent_id", "grantee"),
    *("body_sha256", "token_hash", "digest", "action", "by", "decision", "status", "kind"),
    *("context_id", "scope", "sources", "strategy"),
}
_DESCRIPTION = {"title", "tags", "metadata", "agent_config"}


async def nobody_knows(_tenant: str, _session: str) -> dict[str, str]:
    """No session has any placeholder."""
    return {}


class Inspector:
    """Reads what comes in. The rules are compiled beside the event loop, once per process and policy: `begin` starts it
    when the gateway does, and what arrives before they are ready waits for them.

    `known` are the placeholders that a tenant's session has, their names by tag.
    """

    def __init__(self, settings: ScreeningSettings, known: Known = nobody_knows) -> None:
        self._settings = settings
        self._known = known
        self._compiling: asyncio.Task[Outgoing] | None = None

    def begin(self) -> asyncio.Task[Outgoing]:
        """Start to compile the rules, unless that has begun."""
        if self._compiling is None:
            self._compiling = asyncio.create_task(asyncio.to_thread(self._compile), name="compile-rules")
        return self._compiling

    async def screener(self) -> Screener:
        """The compiled rules."""
        return (await asyncio.shield(self.begin())).screener

    async def inspect(self, event: Event[EventData]) -> Event[EventData]:
        """The event as it may go on. Raises BlockedByPolicyError."""
        data = event.data
        if isinstance(data, RunEvent):
            return event.model_copy(update={"data": await self._treated(data, event)})
        if texts := texts_of_event(data):
            await _let_pass(await asyncio.shield(self.begin()), texts, event.tenantid)
        return event

    async def _treated(self, data: RunEvent, event: Event[EventData]) -> RunEvent:
        outgoing = await asyncio.shield(self.begin())
        tenant, session = event.tenantid, event.sessionid or str(data.task_id)
        data = data.model_copy(update={"findings": None, "sealed": None})  # not an agent's to say
        concern = await asyncio.to_thread(outgoing.concern, data, tenant=tenant)
        if concern is None:
            return data
        names = outgoing.names(await self._names(tenant, session), tenant=tenant, session=session)
        return outgoing.settle(data, concern, names, tenant=tenant, session=session)

    async def _names(self, tenant: str, session: str) -> dict[str, str]:
        """The session's names; when they cannot be had, the keeper puts the numbers right."""
        try:
            return await self._known(tenant, session)
        except TransientError:
            return {}

    def _compile(self) -> Outgoing:
        return Outgoing(self._settings.screener(), self._settings.sealer())


async def _let_pass(outgoing: Outgoing, texts: Mapping[str, str], tenant: str) -> None:
    """Nothing of a command can be replaced: what policy would have redacted is refused as well."""
    screen = outgoing.screener.screen
    if sum(map(len, texts.values())) > _LONG:
        verdict = await asyncio.to_thread(screen, texts, kind=_KIND, tenant=tenant)
    else:
        verdict = screen(texts, kind=_KIND, tenant=tenant)
    if verdict.decision != "allow":
        carrying = decide(verdict.findings, outgoing.screener.policy.profile(tenant=tenant, kind=_KIND))[1]
        findings: list[JsonValue] = [note.model_dump() for note in notes(verdict.findings[:50])]
        raise BlockedByPolicyError(reason("block", carrying), findings)


def texts_of_event(data: EventData) -> Mapping[str, str]:
    """Every text in an event's payload by its place, ids and words of ours left out."""
    dumped = _described(data.session) if isinstance(data, TaskSubmitted) else _dumped(data)
    texts: dict[str, str] = {}
    for name, value in dumped.items():
        texts.update(texts_in(value, name))
    return {place: text for place, text in texts.items() if text}


def _described(session: SessionSpec | None) -> JsonObject:
    """Of a task only how the session is described that it opens, which is announced before there is a verdict; the
    name of a workflow was read when it was given.
    """
    if session is None or session.kind == "workflow":
        return {}
    return session.model_dump(mode="json", include=_DESCRIPTION, exclude_defaults=True)


def _dumped(data: EventData) -> JsonObject:
    dumped = data.model_dump(mode="json", exclude=_NO_TEXTS, exclude_none=True, exclude_defaults=True)
    if isinstance(data, ContextChange) and data.ops:  # a value is read with its key, as it would be in an object
        dumped["ops"] = [{"path": one.path, "value": {one.path.rpartition(".")[2]: one.value}} for one in data.ops]
    return dumped
