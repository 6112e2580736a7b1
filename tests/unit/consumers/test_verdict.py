"""When a thread of the engine is over: every combination of what stream, state and clock may say."""

from itertools import product

import orjson
import pytest
from pydantic import JsonValue

from consumers._engine.answers import End, Failure, Said, ThreadState, Update, read_frame, read_state
from consumers._engine.errors import EngineAwayError
from consumers.spec_engine.verdict import Done, Evidence, judge

FILES = {"/a.md": "one"}
COMPLETED = ThreadState(status="completed", generated_files={"/a.md": "two"})
EMPTY = ThreadState(status="completed")
RUNNING = ThreadState(status="running")
FAILED = ThreadState(status="failed", error={"code": "model_refused", "retryable": False})


def frame(event_type: str, **data: object) -> bytes:
    return orjson.dumps({"event_type": event_type, "data": data})


def verdict(evidence: Evidence, quiet: float = 0.0) -> Done | Failure | None:
    return judge(evidence, quiet=quiet, settle=10.0, stall=100.0)


def test_no_single_signal_ends_a_thread_well() -> None:
    alone = [Evidence(files=FILES), Evidence(files=FILES, ended=True), Evidence(state=COMPLETED, agreed=1)]
    alone += [
        Evidence(state=EMPTY, agreed=9, streaming=True),
        Evidence(files=FILES, state=EMPTY, agreed=9, streaming=True),
    ]
    assert [verdict(evidence) for evidence in alone] == [None] * 5


def test_two_signals_do() -> None:
    two = Done({"/a.md": "two"})
    assert verdict(Evidence(files=FILES, ended=True, state=COMPLETED, agreed=1)) == two
    assert verdict(Evidence(state=COMPLETED, agreed=2)) == two
    assert verdict(Evidence(files=FILES, ended=True, state=EMPTY, agreed=1)) == Done(FILES)
    assert verdict(Evidence(files=FILES, ended=True), quiet=10.0) == Done(FILES)
    assert verdict(Evidence(files=FILES, ended=True, unknown=3)) == Done(FILES)
    assert verdict(Evidence(files=FILES, state=EMPTY, agreed=2), quiet=10.0) == Done(FILES)


def test_an_end_after_an_error_is_no_success() -> None:
    told = Evidence(files=FILES, ended=True, told=Failure(), state=RUNNING)
    assert verdict(told) is None
    assert verdict(told, quiet=10.0) == Failure()
    assert verdict(Evidence(files=FILES, ended=True, told=Failure(), unknown=3)) == Failure("unknown_thread")


@pytest.mark.parametrize("code", ["", "x" * 65, "it said: hello", "a\nb", "größe"])
def test_an_engines_code_that_is_no_short_word_is_not_passed_on(code: str) -> None:
    told = ThreadState(status="failed", error={"error": {"code": code, "retryable": False}}).failure
    assert told == Failure("engine_error", retryable=False)


def test_news_take_an_end_back() -> None:
    evidence = Evidence(files=FILES, ended=True, told=Failure())
    evidence.hear_news()
    assert verdict(evidence, quiet=10.0) is None


@pytest.mark.parametrize(("files", "ended", "streaming"), [*product([None, FILES], [False, True], [False, True])])
def test_whatever_else_is_heard_a_failed_state_fails_and_silence_ends(
    files: dict[str, str] | None, *, ended: bool, streaming: bool
) -> None:
    evidence = Evidence(files=files, ended=ended, streaming=streaming, state=FAILED)
    assert verdict(evidence) == Failure("model_refused", retryable=False)
    for state in (None, RUNNING, EMPTY):
        evidence = Evidence(files=files, ended=ended, streaming=streaming, state=state, agreed=1)
        assert verdict(evidence, quiet=100.0) is not None


def test_polls_that_agree_are_counted_and_a_new_answer_starts_over() -> None:
    evidence = Evidence()
    assert evidence.take_state(RUNNING)
    assert not evidence.take_state(RUNNING)
    assert evidence.agreed == 2
    assert evidence.take_state(COMPLETED)
    assert evidence.agreed == 1
    assert not evidence.take_state(None)
    assert evidence.unknown == 1


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("(AIMessageChunk(content='It\\'s \"so\"\\n', id='1'), {'a': 1})", 'It\'s "so"\n'),
        ("(AIMessageChunk(content=\"don't\", id='1'), {})", "don't"),
        ("(AIMessageChunk(content=[{'type': 'text'}], id='1'), {})", None),
        ("__import__('os').system('x')", None),
        ("(AIMessageChunk(content='\\x", None),
    ],
)
def test_text_is_read_out_of_a_repr_and_nothing_else_is(raw: str, text: str | None) -> None:
    found = read_frame(frame("on_llm_stream", raw_event=raw))
    assert found == (Said(text) if text is not None else None)


def test_frames_of_every_kind_are_read_and_strangers_are_passed_over() -> None:
    files = {
        "/a.md": {"content": ["x", ""], "created_at": "", "modified_at": ""},
        "/b.md": {"content": "y"},
        "/c.md": "z",
    }
    update = read_frame(frame("on_state_update", messages="half way", files=files))
    assert isinstance(update, Update)
    assert (update.files, update.note) == ({"/a.md": "x\n", "/b.md": "y", "/c.md": "z"}, "half way")
    assert read_frame(frame("end")) == End()
    told = frame("error", error={"code": "x", "retryable": False})
    assert read_frame(told) == Failure("x", retryable=False)
    assert read_frame(frame("something_new")) is None
    for broken in (
        "",
        "[]",
        '{"data": {}}',
        '{"event_type": "on_state_update", "data": {"files": {"/a": {"content": 7}}}}',
    ):
        with pytest.raises(EngineAwayError):
            read_frame(broken)


def test_words_and_status_alone_are_no_mark() -> None:
    marks = [read_frame(frame("on_state_update", messages=f"{n} s", status="running")) for n in range(2)]
    steps = [read_frame(frame("on_state_update", messages="x", todos=[n])) for n in range(2)]
    assert [mark.mark for mark in marks if isinstance(mark, Update)] == ["", ""]
    assert len({step.mark for step in steps if isinstance(step, Update)}) == 2


def test_a_number_of_any_size_is_a_mark() -> None:
    update = read_frame(f'{{"event_type": "on_state_update", "data": {{"todos": {2**70}}}}}')
    assert isinstance(update, Update)
    assert update.mark


@pytest.mark.parametrize(("said", "tokens"), [(7, 7), (-7, 0), ("7", 0), (10**30, 2**53), (None, 0)])
def test_tokens_are_counted_as_far_as_a_row_holds_them(said: JsonValue, tokens: int) -> None:
    assert ThreadState(status="completed", result={"tokens": said}).tokens == tokens


def test_half_a_character_is_a_question_mark() -> None:
    """Python's `json.dumps` writes a lone surrogate; the rest of what the engine says must not be lost for it."""
    files = '{"/a.md": {"content": ["a\\ud800b"]}}'
    update = read_frame(f'{{"event_type": "on_state_update", "data": {{"files": {files}}}}}')
    state = read_state(f'{{"status": "completed", "generated_files": {files}}}'.encode())
    assert isinstance(update, Update)
    assert update.files == state.files == {"/a.md": "a?b"}
    assert read_frame('{"event_type": "on_llm_stream", "data": {"text": "\\udc00"}}') == Said("?")
