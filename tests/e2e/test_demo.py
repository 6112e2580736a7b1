"""`make demo` is right, and notices when something is not."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo.conversation import Turn
from cli.demo.conversation import faults_of as faults_of_talk
from cli.demo.refinements import Decided, faults_of
from cli.demo.sample import Sample, load
from cli.demo.samples import Course
from deploy.local.ports import LOOPBACK
from deploy.local.runtime import Runtime, read_runtime
from tests.support.command import ganglion, started
from tests.support.eventually import eventually
from tests.support.infrastructure import server_folder
from tests.support.processes import is_gone


async def test_the_demo_carries_every_sample_to_the_state_it_should_reach(tmp_path: Path) -> None:
    done = await ganglion(tmp_path, "-o", "json", "demo", within=60)
    assert done.code == 0, done.err
    records = done.documents[0]
    assert isinstance(records, list)
    expected = {sample.name: sample.expect for sample in load()}
    assert {record["sample"]: record["status"] for record in records} == expected
    assert all(record["first_line"] and record["ms"] > 0 for record in records)
    refined = done.documents[1]
    assert isinstance(refined, dict)
    assert [decided["code"] for decided in refined["decisions"]] == ["approved", "rejected", "base_moved"]
    assert all(decided["diff"].startswith("diff --git ") for decided in refined["decisions"])
    assert len(refined["draft"]) >= 10
    talked = done.documents[2]
    assert isinstance(talked, dict)
    assert "Pepper" in talked["turns"][2]["answer"]
    assert (len(talked["turns"]), talked["messages"]) == (3, 6)
    assert done.documents[3] == {"agent": "AGENT-COUNTER", "status": "succeeded", "exit_code": 0}


@pytest.fixture
def standing_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_demo_that_is_ended_early_leaves_no_process_behind(number: signal.Signals, standing_port: int) -> None:
    with server_folder() as folder:
        # What the environment says about another stack, `make up`'s for one, is not for the demo's.
        others = {"GANGLION_HOST": "192.0.2.1", "GANGLION_METRICS_PORT": str(standing_port)}
        async with started(folder, "demo", env={"TMPDIR": str(folder), **others}) as demo:
            runtime = await eventually(lambda: _runtime(folder), within=40)
            assert runtime is not None
            assert runtime.gateway_url.startswith(f"http://{LOOPBACK}:")
            demo.send_signal(number)
            await demo.wait()
            pids = [runtime.supervisor, *(pid for pid in runtime.pids.values() if pid)]
            await eventually(lambda: all(is_gone(pid) for pid in pids), within=15)
        assert number is signal.SIGKILL or not list(folder.glob("ganglion-*"))


def _runtime(folder: Path) -> Runtime | None:
    homes = list(folder.glob("ganglion-*"))
    return read_runtime(homes[0]) if homes else None


def test_a_sample_in_the_wrong_state_is_a_fault() -> None:
    sample = Sample(name="s", goal="g", expect="blocked")
    course = Course(sample, "id", posted=0.0, ended=1.0, task={"status": "succeeded", "result": {"text": "done"}})
    assert course.fault() == "s: expected blocked, got succeeded done"


def test_a_sample_whose_end_was_never_seen_is_a_fault() -> None:
    course = Course(Sample(name="s", goal="g", expect="succeeded"), "id", posted=0.0, task={"status": "running"})
    assert course.fault() == "s: no end was seen on the socket (status running)"


def test_a_success_without_a_result_is_a_fault() -> None:
    sample = Sample(name="s", goal="g", expect="succeeded")
    course = Course(sample, "id", posted=0.0, ended=1.0, task={"status": "succeeded"})
    assert course.fault() == "s: succeeded without a result"


def proposal(code: str, digest: str = "d") -> Decided:
    """A decision and its answer."""
    decision = "reject" if code == "rejected" else "approve"
    status = 409 if code == "base_moved" else 200
    return Decided({"digest": digest}, "", decision, status, {"code": code})


def test_a_decision_that_ends_otherwise_or_another_draft_is_a_fault() -> None:
    good = (proposal("approved"), proposal("rejected"), proposal("base_moved"))
    assert faults_of(good, {"digest": "d"}) == ()
    assert faults_of(good, {"digest": "e"}) == ("the draft is not what was approved",)
    late = (*good[:2], proposal("approved"))
    assert faults_of(late, {"digest": "d"}) == ("a proposal was approved instead of base_moved",)


def test_a_conversation_without_its_answer_or_with_another_history_is_a_fault() -> None:
    turns = (Turn("My dog is Pepper.", "Noted.", ()), Turn("Who?", "Pepper.", (), words=1))
    told = [text for turn in turns for text in (turn.said, turn.answer)]
    read: dict[str, object] = {"messages": [{"content": text} for text in told]}
    assert faults_of_talk(turns, read) == ()  # type: ignore[arg-type]  # what of a history is looked at
    assert faults_of_talk(turns[::-1], read) == (  # type: ignore[arg-type]  # as above
        "the last answer does not say Pepper: Noted.",
        "no word of the last answer came before its end",
        "the history is not what was said",
    )
