"""How fast the gateway accepts work: POST /api/v1/tasks until its 202, each connection one request at a time."""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter

import orjson

from bench.http import HttpConnection, Requests


@dataclass
class Accepted:
    """One round: the ids and seconds of what was accepted, how long the round took, and what was not accepted."""

    task_ids: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0
    log_only: int = 0
    """How many answers promised the log alone: the commit came too late or not at all."""
    refusals: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Accepted tasks a second."""
        return len(self.task_ids) / self.lasted

    def note(self, status: int, body: bytes, seconds: float) -> str | None:
        """Count one answer; returns the task's id if it is a 202."""
        if status != 202:
            self.refusals[status] = self.refusals.get(status, 0) + 1
            return None
        answer = orjson.loads(body)
        task_id = str(answer["task_id"])
        self.task_ids.append(task_id)
        self.seconds.append(seconds)
        self.log_only += answer.get("durability") != "log+database"
        return task_id


async def accept(host: str, port: int, requests: Requests, *, connections: int, seconds: float) -> Accepted:
    """Post on `connections` connections for `seconds`; closed loop, nothing waits for the tasks themselves."""
    opened = await asyncio.gather(*(HttpConnection.open(host, port) for _ in range(connections)))
    result = Accepted()
    start = perf_counter()

    async def keep_posting(connection: HttpConnection) -> None:
        while perf_counter() - start < seconds:
            answer = await connection.request(requests.next())
            result.note(answer.status, answer.body, answer.seconds)

    try:
        await asyncio.gather(*(keep_posting(connection) for connection in opened))
    finally:
        for connection in opened:
            connection.close()
    result.lasted = perf_counter() - start
    return result
