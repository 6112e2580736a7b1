"""The planted defects: what each breaks, and what must notice it: a campaign, or the tests that prove the mechanism."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement; `old` must be found exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted defect, and the campaign that must notice it. `faults` are parts of names, `times` how many strike.

    `tests`: this one is judged by tests instead, of which one must fail.
    """

    name: str
    edits: tuple[Edit, ...]
    faults: tuple[str, ...]
    times: int = 12
    requests: int = 1_500
    per_second: float = 100.0
    sweep: str = "off"
    tests: tuple[str, ...] = ()


_RUNTIME, _OUTBOX, _TERM = "consumers/_runtime.py", "consumers/keeper/outbox.py", "consumers/keeper/term.py"
_LEASE = "consumers/keeper/lease.py"
MUTANTS = (
    Mutant(
        "acknowledge before publishing",
        (
            Edit(
                _RUNTIME,
                "        begun = await self._run_batch(batch, messages) if",
                "        for message in messages:\n            await message.ack()\n"
                "        begun = await self._run_batch(batch, messages) if",
            ),
            Edit(
                _RUNTIME,
                '        await message.ack()\n        return "done"\n',
                '        return "done"\n',
            ),
        ),
        ("kill reactors", "kill nats"),
    ),
    Mutant(
        "log a repeated event as if it were new",
        (
            Edit("storage/parts.py", '"logged": inserted(event_log)', '"logged": inserted(event_log, _ONCE)'),
            Edit(
                "consumers/keeper/fold.py", "        if key in self.known:", "        if False and key in self.known:"
            ),
        ),
        ("duplicate",),
        times=4,
    ),
    Mutant(
        "forget an outbox row once it is sent",
        (
            Edit(
                _OUTBOX,
                "                self._sent[event_id] = outgoing\n"
                "                self._under_way[_line(outgoing.event)] += 1\n",
                "                pass\n",
            ),
            Edit(_TERM, "            await self._publish_left()\n", "            pass\n"),
        ),
        ("kill nats", "kill keeper", "kill standby"),
    ),
    Mutant(
        "let the oldest messages go when the log is full",
        (Edit("producers/topology.py", "discard=DiscardPolicy.NEW", "discard=DiscardPolicy.OLD"),),
        (),
        tests=("tests/integration/test_publisher.py", "tests/integration/test_topology.py"),
    ),
    Mutant(
        "write without the lease",
        (
            Edit(
                "storage/parts.py",
                "holder = $1 AND epoch = $2 AND position = $3 RETURNING 1)",
                "$1::text || $2::text || $3::bigint IS NOT NULL RETURNING 1)",
            ),
        ),
        (),
        tests=("tests/integration/test_keeper_rows.py",),
    ),
    Mutant(
        "promise before the commit",
        (
            Edit(
                _TERM,
                "        began = time.monotonic()\n        try:\n            await self._store.write(",
                "        changes_told = fold.outcomes\n        await self._tell(changes_told)\n"
                "        began = time.monotonic()\n        try:\n            await self._store.write(",
            ),
        ),
        ("wipe the log while postgres sleeps",),
        times=4,
        sweep="on",
    ),
    Mutant(
        "take a new log for the old one",
        (
            Edit(
                "consumers/keeper/epoch.py",
                "    if token and token == position.epoch and await _same_log(client, store, position):\n",
                "    if position.epoch:\n",
            ),
        ),
        ("wipe the log",),
        times=2,
        requests=400,
        per_second=40.0,
        sweep="on",
    ),
    Mutant("leave a lost log to itself", (), ("wipe the log",), times=6, sweep="off"),
    Mutant(
        "skip an event when a subscriber resumes",
        (
            Edit(
                "gateway/live/replay.py",
                "        start = self._hub.position if after is None else after\n",
                "        start = self._hub.position if after is None else Cursor(after.epoch, after.seq + 1)\n",
            ),
        ),
        (),
        tests=("tests/integration/edge/test_sockets.py",),
    ),
    Mutant(
        "show anybody any task",
        (
            Edit(
                "gateway/auth/bearer.py",
                "        return tenant == self.tenant and (owner == self.owner or self.has_tenant)\n",
                "        return bool(tenant and owner)\n",
            ),
        ),
        ("kill valkey",),
        times=1,
        requests=400,
        per_second=40.0,
    ),
    Mutant(
        "take every execution of an attempt",
        (
            Edit(
                "consumers/keeper/runs.py",
                '    if task.status != "assigned":\n        raise RefusedError("already_started")\n    return [enter(',
                "    return [enter(",
            ),
        ),
        (),
        tests=("tests/integration/test_keeper.py", "tests/unit/consumers/test_task.py"),
    ),
    Mutant(
        "tell a state before the one that came first is kept",
        (Edit(_OUTBOX, "if line in self._under_way or size < sizes.get(line, 0):", "if size < 0:"),),
        (),
        tests=("tests/unit/consumers/test_outbox.py",),
    ),
    Mutant(
        "publish under an old lease",
        (Edit(_LEASE, "        return time.monotonic() - self._renewed < _FRESH\n", "        return True\n"),),
        (),
        tests=("tests/integration/test_keeper_terms.py",),
    ),
    Mutant(
        "bury a message without ending its task",
        (
            Edit(
                "consumers/_dead_letter.py",
                "        if event is not None and event.taskid is not None:\n",
                "        if event is not None and event.taskid is None:\n",
            ),
        ),
        (),
        tests=("tests/integration/test_dead_letters.py", "tests/integration/gateway/test_dlq.py"),
    ),
    Mutant(
        "show dead letters of every tenant",
        (
            Edit(
                "gateway/operations/dead_letters.py",
                "if kept is None or kept.letter.tenant != principal.tenant:",
                "if kept is None:",
            ),
        ),
        (),
        tests=("tests/integration/gateway/test_dlq.py",),
    ),
    Mutant(
        "find nothing wrong with commits that are not flushed",
        (
            Edit(
                "gateway/operations/checkup.py",
                '_SAFE = {"on", "remote_apply"}',
                '_SAFE = {"on", "remote_apply", "off"}',
            ),
        ),
        (),
        tests=("tests/integration/gateway/test_checkup.py",),
    ),
    Mutant(
        "show an epoch on that has lost what was shown",
        (
            Edit(
                "gateway/live/hub.py",
                "        if epoch == self.position.epoch:\n            await self._look_for_what_was_shown(client)\n",
                "",
            ),
        ),
        (),
        tests=("tests/integration/gateway/test_lost_ends.py",),
    ),
    Mutant(
        "show a snapshot before the keeper has read what came before",
        (
            Edit(
                "gateway/live/replay.py",
                "        if not await self._commits.reached(self._hub.recent.start, within=_WAIT):\n"
                '            raise OverloadedError("The keeper has not read what came before.")\n',
                "",
            ),
        ),
        (),
        tests=("tests/integration/gateway/test_lost_ends.py",),
    ),
    Mutant(
        "give slots to what is older than the live state",
        (Edit("storage/live/scripts/apply.lua", "score % input.apart < built + input.skew", "false"),),
        (),
        tests=("tests/integration/agents/test_routing.py",),
    ),
    Mutant(
        "begin a term without what is missing",
        (Edit("consumers/keeper/epoch.py", "    if await drift(client):\n        await apply(client)\n", ""),),
        (),
        tests=("tests/integration/test_keeper_epochs.py", "tests/integration/test_keeper_terms.py"),
    ),
    Mutant(
        "believe an outcome whose body nobody can see",
        (
            Edit(
                "gateway/tasks/submitting.py",
                "        taken = await self._was_taken(key)\n        return taken and",
                "        taken = await self._is_known(key)\n        return taken and",
            ),
        ),
        (),
        tests=("tests/integration/gateway/test_outages.py",),
    ),
    Mutant(
        "begin before what is waited for has ended",
        (Edit("consumers/keeper/gate.py", "    if before:\n", "    if before and not task:\n"),),
        ("pause reactors", "kill runner", "kill reserve"),
        times=6,
        requests=800,
    ),
    Mutant(
        "keep no place that is written in a context",
        (
            Edit(
                "storage/parts.py", '"contexts": upserted(context)', '"contexts": upserted(context, only=("version",))'
            ),
        ),
        ("kill valkey",),
        times=1,
        requests=400,
        per_second=40.0,
    ),
    Mutant(
        "take who waits once more for over",
        (
            Edit(
                "storage/live/scripts/apply.lua",
                "  free(member, '', cause)\n",
                "  call('ZADD', P .. 'over', now, member)\n  free(member, '', cause)\n",
            ),
        ),
        (),
        tests=("tests/simulation/test_simulation.py",),
    ),
    Mutant(
        "give out a slot on behalf of an event once",
        (
            Edit(
                "storage/live/scripts/apply.lua",
                "== 1 then offer(member, body, cause) end\n",
                "== 2 then offer(member, body, cause) end\n",
            ),
        ),
        (),
        tests=("tests/simulation/test_simulation.py",),
    ),
    Mutant(
        "build the live state without who waits",
        (
            Edit(
                "consumers/router/rebuild.py",
                "            await self._live.apply([], _parked(tasks), builder=token)\n",
                "",
            ),
        ),
        (),
        tests=("tests/simulation/test_simulation.py",),
    ),
    Mutant(
        "give a slot to what has ended",
        (
            Edit(
                "storage/live/scripts/apply.lua",
                "  if call('ZSCORE', P .. 'over', member) then return { '', 'over', 0 } end\n",
                "",
            ),
        ),
        (),
        tests=("tests/simulation/test_simulation.py",),
    ),
)
