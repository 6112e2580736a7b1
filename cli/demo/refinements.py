"""A specification refined by the engine: one proposal approved, one rejected, one refused because it came too late."""

import asyncio
from dataclasses import dataclass
from typing import cast

import httpx
from pydantic import JsonValue
from rich.text import Text

from cli.client import Document
from cli.demo.stage import Ending, Stage
from cli.output import Output

_SHOWN = 40
"""Lines of a diff that are printed; the rest is counted."""
_LOOK_EVERY = 0.05
_COLOURS = {"+": "green", "-": "red", "@": "cyan", "d": "bold"}
_FIRST = (
    "A service that greets people by name. It must answer within 100 ms, must not store names, "
    "and should greet in English and in German."
)
_OTHER = "A service that says goodbye. It must answer within 200 ms and must log every request."
_SECOND = "It must greet in French, too, and should fall back to English for a language it does not know."


@dataclass(frozen=True, slots=True)
class Decided:
    """What was proposed, what was decided, and what the gateway said to it."""

    proposal: Document
    diff: str
    decision: str
    status: int
    answer: Document

    @property
    def code(self) -> str:
        """What became of it, in a word."""
        if self.status == httpx.codes.OK:
            return "approved" if self.decision == "approve" else "rejected"
        return str(self.answer.get("code"))


class Refiner:
    """One workflow, and what a person does with it."""

    def __init__(self, client: httpx.AsyncClient, workflow_id: str) -> None:
        self._client = client
        self._home = f"/api/workflows/{workflow_id}"

    async def ask(self, instructions: str) -> str:
        """A refinement; the path of its proposal."""
        accepted = await _sent(self._client, "POST", f"{self._home}/refinements", {"instructions": instructions})
        return f"/api/proposals/{accepted['proposal_id']}"

    async def look(self, proposal: str) -> Document:
        """The proposal, once it is there."""
        while True:
            found = await _sent(self._client, "GET", proposal)
            if found["status"] != "processing":
                return found
            await asyncio.sleep(_LOOK_EVERY)

    async def decide(self, proposal: str, decision: str) -> Decided:
        """Read it, read what it changes, decide."""
        found = await self.look(proposal)
        diff = (await self._client.get(proposal, headers={"Accept": "text/x-diff"})).text
        answer = await self._client.post(f"{proposal}/{decision}", headers={"If-Match": f'"{found["digest"]}"'})
        return Decided(found, diff, decision, answer.status_code, cast("Document", answer.json()))

    async def draft(self) -> Document:
        """The draft with its files."""
        return await _sent(self._client, "GET", f"{self._home}/draft")


async def refinements(stage: Stage) -> Ending:
    """Play it, show each diff and the draft that is left."""
    place = stage.place
    async with httpx.AsyncClient(base_url=place.url, headers=place.headers, timeout=10.0, trust_env=False) as client:
        made = await _sent(client, "POST", "/api/workflows", {"name": "Greeter"})
        refiner = Refiner(client, str(made["id"]))
        try:
            async with asyncio.timeout(stage.within):
                first, late = await refiner.ask(_FIRST), await refiner.ask(_OTHER)
                await refiner.look(late)
                approved = await refiner.decide(first, "approve")
                rejected = await refiner.decide(await refiner.ask(_SECOND), "reject")
                stale = await refiner.decide(late, "approve")
        except TimeoutError:
            return Ending(3, (f"no proposal within {stage.within:g} s",))
        draft = await refiner.draft()
    decisions = (approved, rejected, stale)
    _show(stage.output, decisions, draft)
    return Ending(3, faults_of(decisions, draft))


def faults_of(decisions: tuple[Decided, ...], draft: Document) -> tuple[str, ...]:
    """What is wrong: a decision that ended otherwise, or a draft that is not what was approved."""
    faults = [
        f"a proposal was {decided.code} instead of {expected}"
        for decided, expected in zip(decisions, ("approved", "rejected", "base_moved"), strict=True)
        if decided.code != expected
    ]
    if draft["digest"] != decisions[0].proposal["digest"]:
        faults.append("the draft is not what was approved")
    return tuple(faults)


def _show(output: Output, decisions: tuple[Decided, ...], draft: Document) -> None:
    if output.is_json:
        output.document({"decisions": [_record(decided) for decided in decisions], "draft": [*sorted(_files(draft))]})
        return
    for decided in decisions:
        output.line(Text(f"{decided.proposal['user_prompt']}", style="bold"))
        output.line(f"{decided.proposal['summary']}; {decided.decision} -> {decided.status} {decided.code}")
        if decided.status == httpx.codes.CONFLICT:
            output.line(f"  differs now: {_paths(decided.answer)}")
        else:
            _show_diff(output, decided.diff)
        output.line("")
    output.line(Text("The draft", style="bold"))
    output.table(("path", "bytes", "first line"), [_row(path, file) for path, file in sorted(_files(draft).items())])


def _show_diff(output: Output, diff: str) -> None:
    lines = diff.splitlines()
    for line in lines[:_SHOWN]:
        output.line(Text(f"  {line}", style=_COLOURS.get(line[:1], "")))
    if len(lines) > _SHOWN:
        output.line(Text(f"  … and {len(lines) - _SHOWN} lines more", style="dim"))


def _paths(answer: Document) -> str:
    conflicts = answer.get("conflicts")
    return ", ".join(str(path) for path in conflicts) if isinstance(conflicts, list) else ""


def _files(draft: Document) -> dict[str, JsonValue]:
    files = draft["files"]
    return files if isinstance(files, dict) else {}


def _row(path: str, file: JsonValue) -> tuple[str, str, str]:
    if not isinstance(file, dict):
        return path, "", ""
    return path, str(file["size"]), next(iter(str(file["content"]).splitlines()), "")


def _record(decided: Decided) -> Document:
    return {
        "prompt": decided.proposal["user_prompt"],
        "summary": decided.proposal["summary"],
        "decision": decided.decision,
        "status": decided.status,
        "code": decided.code,
        "diff": decided.diff,
    }


async def _sent(client: httpx.AsyncClient, method: str, path: str, body: Document | None = None) -> Document:
    answer = await client.request(method, path, json=body)
    answer.raise_for_status()
    return cast("Document", answer.json())
