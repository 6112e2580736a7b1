"""When a thread is over and how: no single signal is trusted; stream, state and clock decide together.

Faults of engines that this is for (requirements 001.1, 001.5): a state that says `completed` with no files as soon as
a checkpoint exists, one that says `running` for ever, a stream that sends `end` after 300 s whatever the run does,
sockets that drop, messages that change with the clock and mean nothing.
"""

from dataclasses import dataclass

from consumers._engine.answers import Failure, ThreadState

_AGREED = 2
_UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Done:
    """The thread ended with these files (path as the engine has it -> text)."""

    files: dict[str, str]
    summary: str | None = None
    tokens: int = 0


Verdict = Done | Failure


@dataclass(slots=True)
class Evidence:
    """What is known of a thread. Polls that agree are counted in a row; `quiet` is in seconds."""

    files: dict[str, str] | None = None
    ended: bool = False
    told: Failure | None = None
    state: ThreadState | None = None
    agreed: int = 0
    unknown: int = 0
    streaming: bool = False

    def hear_news(self) -> None:
        """Something new came: an earlier end was none."""
        self.ended, self.told = False, None

    def take_state(self, state: ThreadState | None) -> bool:
        """A poll answered, or said that the thread is unknown (None); returns whether that is news."""
        if state is None:
            self.unknown += 1
            return False
        self.unknown = 0
        is_new = self.state is None or (state.status, state.generated_files) != (
            self.state.status,
            self.state.generated_files,
        )
        self.agreed = 1 if is_new else self.agreed + 1
        self.state = state
        return is_new


def judge(evidence: Evidence, *, quiet: float, settle: float, stall: float) -> Verdict | None:
    """The verdict, or None while more must be heard."""
    state = evidence.state
    if state is not None and state.status == "failed":
        return state.failure
    if state is not None and state.status == "completed":
        return _completed(evidence, state, is_quiet=quiet >= (stall if evidence.streaming else settle))
    if evidence.unknown >= _UNKNOWN:
        return _ended(evidence) or Failure("unknown_thread")
    if evidence.ended and quiet >= settle:
        return evidence.told or _ended(evidence) or (Failure("engine_stalled") if quiet >= stall else None)
    return Failure("engine_stalled") if quiet >= stall else None


def _completed(evidence: Evidence, state: ThreadState, *, is_quiet: bool) -> Verdict | None:
    """Completed counts with files and a second voice, the stream's end or the next poll; without files it must last."""
    files = state.files or (evidence.files if evidence.ended else None)
    if files:
        agreed = evidence.ended or evidence.agreed >= _AGREED
        return Done(files, state.summary, state.tokens) if agreed else None
    if not is_quiet:
        return None
    return Done(evidence.files, state.summary, state.tokens) if evidence.files else Failure("no_files")


def _ended(evidence: Evidence) -> Done | None:
    """An end that the state does not confirm counts if there are files."""
    return Done(evidence.files) if evidence.ended and evidence.files and evidence.told is None else None
