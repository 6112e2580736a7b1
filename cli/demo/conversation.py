"""A conversation of three turns: the third answer uses what the first turn said, and comes word by word."""

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import cast

import httpx
from pydantic import JsonValue
from rich.text import Text

from cli.client import Document
from cli.demo.stage import Ending, Stage
from cli.output import Output

_TURNS = (
    "My dog is called Pepper.",
    "We moved to Lisbon in May, and she likes the river.",
    "What is the dog called?",
)
_WANTED = "Pepper"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said, what was answered, and the words of the answer as they came (of a streamed turn only)."""

    said: str
    answer: str
    tools: tuple[str, ...]
    words: int = 0


async def conversation(stage: Stage) -> Ending:
    """Hold it, show it, and read it again."""
    place = stage.place
    home = f"/api/{_user(place.token)}"
    async with httpx.AsyncClient(base_url=place.url, headers=place.headers, timeout=35.0, trust_env=False) as client:
        try:
            async with asyncio.timeout(stage.within):
                first = await _say(client, home, _TURNS[0], None)
                conversation_id = str(first["conversation_id"])
                second = await _say(client, home, _TURNS[1], conversation_id)
                third = await _hear(client, home, _TURNS[2], conversation_id)
        except TimeoutError:
            return Ending(3, (f"no answer within {stage.within:g} s",))
        read = (await client.get(f"{home}/conversations/{conversation_id}/history")).json()
    turns = (_turn(_TURNS[0], first), _turn(_TURNS[1], second), third)
    _show(stage.output, turns, read)
    return Ending(3, faults_of(turns, read))


def faults_of(turns: tuple[Turn, ...], read: Document) -> tuple[str, ...]:
    """What is wrong: an answer without what was asked for, or a history that is not what was said."""
    faults = []
    if _WANTED not in turns[-1].answer:
        faults.append(f"the last answer does not say {_WANTED}: {turns[-1].answer}")
    if not turns[-1].words:
        faults.append("no word of the last answer came before its end")
    said = [text for turn in turns for text in (turn.said, turn.answer)]
    if [message["content"] for message in _messages(read)] != said:
        faults.append("the history is not what was said")
    return tuple(faults)


async def _say(client: httpx.AsyncClient, home: str, message: str, conversation_id: str | None) -> Document:
    answer = await client.post(f"{home}/chat", json={"message": message, "conversation_id": conversation_id})
    answer.raise_for_status()
    return cast("Document", answer.json())


async def _hear(client: httpx.AsyncClient, home: str, message: str, conversation_id: str) -> Turn:
    """One turn as server-sent events."""
    body = {"message": message, "conversation_id": conversation_id}
    answer, tools, words, name = "", [], 0, ""
    async with client.stream("POST", f"{home}/chat", json=body, headers={"Accept": "text/event-stream"}) as events:
        events.raise_for_status()
        async for line in events.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name == "token":
                words += len(json.loads(value)["text"].split())
            elif field == "data" and name == "message":
                stored = json.loads(value)
                answer, tools = stored["content"], [call["tool_name"] for call in stored["tool_calls"]]
    return Turn(message, answer, tuple(tools), words)


def _turn(said: str, answered: Document) -> Turn:
    last = _messages(answered)[-1]
    tools = tuple(str(call["tool_name"]) for call in cast("list[Document]", last["tool_calls"]))
    return Turn(said, str(last["content"]), tools)


def _messages(conversation: Document) -> list[Document]:
    return cast("list[Document]", conversation["messages"])


def _user(token: str) -> str:
    """Whose token it is: the path of a conversation names its owner."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])


def _show(output: Output, turns: tuple[Turn, ...], read: Document) -> None:
    if output.is_json:
        told: list[JsonValue] = [{"said": turn.said, "answer": turn.answer, "tools": [*turn.tools]} for turn in turns]
        output.document({"title": read["title"], "turns": told, "messages": read["total"]})
        return
    output.line(Text(str(read["title"]), style="bold"))
    for turn in turns:
        output.line(Text.assemble(("you    ", "cyan"), turn.said))
        output.line(Text.assemble(("agent  ", "green"), turn.answer, (f"  ({', '.join(turn.tools)})", "dim")))
