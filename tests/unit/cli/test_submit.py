"""What becomes of TEXT and -f FILE, and what the exit code says."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import submit as command
from cli.client import Document
from cli.command import app, output_first
from cli.demo.sample import INPUTS
from cli.errors import CommandError, code_of_refusal
from cli.submit import request
from cli.summary import exit_code, first_line, outcome


def test_a_text_is_the_goal_and_a_file_beside_it_the_context(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("14:02 deploy")
    assert request("Summarise", notes) == {"goal": "Summarise", "context": "14:02 deploy"}


def test_a_text_file_alone_is_the_goal(tmp_path: Path) -> None:
    goal = tmp_path / "goal.txt"
    goal.write_text("Summarise this")
    assert request(None, goal) == {"goal": "Summarise this"}


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Document] = []

    def noted(text: str | None, file: Path | None) -> Document:
        asked.append(request(text, file))
        return {}

    monkeypatch.setattr(command, "run", lambda work: work.close())
    monkeypatch.setattr(command, "request", noted)
    done = CliRunner().invoke(app, ["submit", "-f", "-"], input="Summarise this\n")
    assert (done.exit_code, asked) == (0, [{"goal": "Summarise this\n"}]), done.output


@pytest.mark.parametrize("name", ["", "absent.txt", "absent.yaml"])
def test_a_file_that_cannot_be_read_is_misuse(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="cannot be read") as caught:
        request(None, tmp_path / name)
    assert caught.value.exit_code == 2


def test_a_sample_file_is_a_request_without_the_demo_members() -> None:
    assert set(request(None, INPUTS / "outage.yaml")) == {"goal", "context", "acceptance_criteria", "priority"}


def test_a_request_file_is_sent_whole(tmp_path: Path) -> None:
    text = "prompt: Summarise\nhold: true\ndepends_on: [01a1fcf0-fd0f-71d9-b50b-a9aff2dba155]\nhodl: false\n"
    (tmp_path / "request.yaml").write_text(text)
    sent = request(None, tmp_path / "request.yaml")
    assert set(sent) == {
        "prompt",
        "hold",
        "depends_on",
        "hodl",
    }  # a slip is for the gateway to refuse, not for us to hide


def test_dates_of_a_request_file_are_sent_as_texts(tmp_path: Path) -> None:
    (tmp_path / "request.yaml").write_text("goal: Go\ndeadline_at: 2026-12-01T10:00:00Z\nmetadata: {5: 2026-12-01}\n")
    sent = request(None, tmp_path / "request.yaml")
    assert sent == {"goal": "Go", "deadline_at": "2026-12-01T10:00:00+00:00", "metadata": {"5": "2026-12-01"}}


@pytest.mark.parametrize("text", ["- a list", "context: no goal", "goal: [unclosed", "goal: !!binary aGk="])
def test_a_request_file_of_another_shape_is_misuse(tmp_path: Path, text: str) -> None:
    (tmp_path / "request.yaml").write_text(text)
    with pytest.raises(CommandError) as caught:
        request(None, tmp_path / "request.yaml")
    assert caught.value.exit_code == 2


def test_nothing_to_submit_is_misuse() -> None:
    with pytest.raises(CommandError) as caught:
        request(None, None)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("blank", ["", "  \n\t"])
def test_a_blank_text_or_file_is_misuse_and_asks_nobody(tmp_path: Path, blank: str) -> None:
    (tmp_path / "blank.txt").write_text(blank)
    for text, file in ((blank, None), (None, tmp_path / "blank.txt"), (blank, INPUTS / "outage.yaml")):
        with pytest.raises(CommandError, match="is empty") as caught:
            request(text, file)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("arguments", [["\udcff"], ["x", "--key", "\udcff"], ["x", "--capability", "\udcff"]])
def test_bytes_that_are_no_utf8_are_misuse(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="not UTF-8") as caught:
        CliRunner().invoke(app, ["submit", *arguments], catch_exceptions=False)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("status", "code"), [(400, 2), (413, 2), (422, 2), (401, 1), (404, 1), (409, 1), (503, 1)])
def test_a_request_that_is_wrong_itself_is_misuse(status: int, code: int) -> None:
    assert code_of_refusal(status) == code


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["tasks", "ls", "-o", "json"], ["-o", "json", "tasks", "ls"]),
        (["status", "--output=json"], ["--output", "json", "status"]),
        (["tasks", "ls", "-ojson"], ["--output", "json", "tasks", "ls"]),
        (["submit", "-old", "--", "-ojson"], ["submit", "-old", "--", "-ojson"]),
        (["submit", "--", "-o", "x"], ["submit", "--", "-o", "x"]),
        (["tail", "-o"], ["-o", "tail"]),
    ],
)
def test_the_output_option_may_stand_anywhere(given: list[str], expected: list[str]) -> None:
    assert output_first(given) == expected


@pytest.mark.parametrize(
    ("status", "code"),
    [("succeeded", 0), ("partial", 0), ("submitted", 0), ("blocked", 3), ("failed", 1), ("cancelled", 1)],
)
def test_the_exit_code_says_what_became_of_the_task(status: str, code: int) -> None:
    assert exit_code({"status": status}) == code


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({"result": {"text": "All is well."}}, "All is well."),
        ({"result": None, "error": {"code": "agent_error", "message": "It broke."}}, "It broke. [agent_error]"),
        ({"result": None, "verdict": {"reason": "Blocked: an attempt."}, "reason": "policy"}, "Blocked: an attempt."),
        ({}, ""),
    ],
)
def test_the_outcome_is_the_result_or_why_there_is_none(task: Document, text: str) -> None:
    assert outcome(task) == text


def test_the_first_line_skips_empty_ones_and_is_cut() -> None:
    assert first_line("\n\n  one two three\nfour", width=8) == "one two…"
