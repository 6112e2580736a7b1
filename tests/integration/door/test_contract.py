"""`ganglion contract check` as a producer's build would run it."""

import json
from pathlib import Path

import pytest

from cli.contract import parse
from cli.errors import CommandError
from tests.support.command import ganglion
from tests.support.doorstep import Doorstep, Json, event
from tests.support.running_gateway import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG: dict[str, tuple[Json, str]] = {
    "no id": (event(id=None), "event: 'id' is a required property"),
    "an attribute that is an object": (event(color={}), "color: "),
    "a blank prompt": (event(data={"spec": {"prompt": ""}}), "data.spec.prompt: "),
    "a member nobody knows": (event(data={"spec": {"prompt": "x"}, "task": 1}), "data: Additional properties"),
    "an unknown type": (event(type="io.ganglion.order.placed.v1"), "is not known; these are taken: "),
    "a state": (event(type="io.ganglion.task.succeeded.v1"), "is announced, never sent"),
}


async def test_what_fits_and_what_does_not_is_said_event_by_event(doorstep: Doorstep, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([event(), *(wrong for wrong, _ in WRONG.values())]))
    env = {"GANGLION_URL": doorstep.gateway.url, "GANGLION_TOKEN": token()}
    done = await ganglion(tmp_path, "contract", "check", str(file), "-o", "json", env=env)
    assert done.code == 1, done.err
    fits, *others = done.documents
    assert fits == {"event": 1, "type": "io.ganglion.task.submitted.v1", "faults": []}
    for said, (name, (_, expected)) in zip(others, WRONG.items(), strict=True):
        assert any(expected in str(fault) for fault in said["faults"]), (name, said)  # type: ignore[union-attr]  # a list


async def test_what_is_said_to_fit_is_taken(doorstep: Doorstep, tmp_path: Path) -> None:
    good = event(data={"spec": {"prompt": "x", "priority": "high", "budget": {"max_tokens": 5}}}, color="red")
    (tmp_path / "event.json").write_text(json.dumps(good))
    env = {"GANGLION_URL": doorstep.gateway.url, "GANGLION_TOKEN": token()}
    done = await ganglion(tmp_path, "contract", "check", str(tmp_path / "event.json"), env=env)
    assert (done.code, done.out) == (0, "event 1  io.ganglion.task.submitted.v1  fits\n")
    async with doorstep.outsider() as alice:
        assert (await alice.ask(good)).status == 202
        for name, (wrong, _) in WRONG.items():
            if "type" not in name and "state" not in name:
                assert (await alice.ask(wrong)).status == 422, name


async def test_an_event_that_has_no_type_is_told_just_that(doorstep: Doorstep, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(json.dumps(event(type=None)))
    env = {"GANGLION_URL": doorstep.gateway.url, "GANGLION_TOKEN": token()}
    done = await ganglion(tmp_path, "contract", "check", str(tmp_path / "event.json"), env=env)
    assert done.out == "event 1  without a type  does not fit:\n  event: 'type' is a required property\n"


@pytest.mark.parametrize("text", ['{"a": 1}\n{"a": 2}\n', '[{"a": 1}, {"a": 2}]', '[\n{"a": 1},\n{"a": 2}\n]'])
async def test_events_may_be_an_array_or_one_a_line(text: str) -> None:
    assert parse(text) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("text", ["", "[]", "{", "not json"])
async def test_no_event_is_misuse(text: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse(text)
    assert refused.value.exit_code == 2
