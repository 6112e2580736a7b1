"""How fast work gets done: from POST to a committed terminal state, as a subscriber sees it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from uuid import UUID

import asyncpg

from bench.accept import Accepted
from bench.completions import Completions
from bench.http import HttpConnection, Requests
from bench.processes import cpu_seconds, machine_seconds, processors
from bench.stack import Stack


class WrongEndError(Exception):
    """A benchmark task ended otherwise than it should, so the figures mean nothing."""


@dataclass(frozen=True)
class Throughput:
    """One round: tasks a second, seconds from POST to the end of each, CPU microseconds a task by process.

    `foreign` is the share of the machine that processes other than these took meanwhile.
    """

    rate: float
    seconds: list[float]
    cpu_us: dict[str, float]
    foreign: float


async def throughput(stack: Stack, requests: Requests, *, tasks: int, in_flight: int) -> Throughput:
    """Carry `tasks` tasks through, `in_flight` clients each waiting for the end of its task before the next POST.

    The rate counts from the first POST to the last end, run-in and run-out included. Raises WrongEndError unless
    the socket and Postgres both say that every task succeeded.
    """
    async with Completions(stack.host, stack.port, stack.token) as completions:
        opened = await asyncio.gather(*(HttpConnection.open(stack.host, stack.port) for _ in range(in_flight)))
        accepted, taken = Accepted(), []
        left = iter(range(tasks))
        before, all_before = cpu_seconds(stack.pids()), machine_seconds()
        own_before, start = process_time(), perf_counter()

        async def keep_working(connection: HttpConnection) -> None:
            for _ in left:
                posted = perf_counter()
                answer = await connection.request(requests.next())
                task_id = accepted.note(answer.status, answer.body, answer.seconds)
                if task_id is not None:
                    taken.append(await completions.of(task_id) - posted)

        async with asyncio.timeout(30 + tasks / 100):
            await asyncio.gather(*(keep_working(connection) for connection in opened))
        lasted = perf_counter() - start
        cpu = {name: spent - before[name] for name, spent in cpu_seconds(stack.pids()).items()}
        cpu["client"] = process_time() - own_before
        foreign = (machine_seconds() - all_before - sum(cpu.values())) / (lasted * processors())
        for connection in opened:
            connection.close()
        await check(stack, completions, accepted)
    cpu_us = {name: spent / tasks * 1e6 for name, spent in cpu.items()}
    return Throughput(tasks / lasted, taken, cpu_us, max(0.0, foreign))


async def latencies(stack: Stack, requests: Requests, *, tasks: int, warm_up: int) -> list[float]:
    """Seconds from the first byte of POST to `task.succeeded` on the socket, one task at a time."""
    taken, accepted = [], Accepted()
    async with Completions(stack.host, stack.port, stack.token) as completions:
        connection = await HttpConnection.open(stack.host, stack.port)
        for number in range(warm_up + tasks):
            start = perf_counter()
            answer = await connection.request(requests.next())
            task_id = accepted.note(answer.status, answer.body, answer.seconds)
            if task_id is not None and number >= warm_up:
                taken.append(await _within(completions, task_id) - start)
            elif task_id is not None:
                await _within(completions, task_id)
        connection.close()
        await check(stack, completions, accepted)
    return taken


async def drain(stack: Stack, completions: Completions, accepted: Accepted) -> None:
    """Wait until every accepted task has ended, so that the next measurement starts on an idle stack."""
    async with asyncio.timeout(30 + len(accepted.task_ids) / 100):
        for task_id in accepted.task_ids:
            await completions.of(task_id)
    await check(stack, completions, accepted)


async def check(stack: Stack, completions: Completions, accepted: Accepted) -> None:
    """Raise WrongEndError unless nothing was refused and all tasks succeeded, by the socket and by Postgres."""
    expected = {"succeeded": len(accepted.task_ids)}
    seen = completions.statuses(accepted.task_ids)
    stored = await _stored(stack.database_url, accepted.task_ids)
    if accepted.refusals or seen != expected or stored != expected:
        raise WrongEndError(f"expected {expected}; socket {seen}; Postgres {stored}; refused {accepted.refusals}")


async def _within(completions: Completions, task_id: str) -> float:
    async with asyncio.timeout(30):
        return await completions.of(task_id)


async def _stored(database_url: str, task_ids: Sequence[str]) -> dict[str, int]:
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT status, count(*) AS tasks FROM task WHERE id = ANY($1) GROUP BY status",
            [UUID(task_id) for task_id in task_ids],
        )
    finally:
        await connection.close()
    return {row["status"]: row["tasks"] for row in rows}
