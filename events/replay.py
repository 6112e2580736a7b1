"""What those who operate a tenant ask for about dead letters; the letters themselves are in `letter.py`."""

from uuid import UUID

from events.base import EventData


class LetterReplay(EventData, aggregate="letter", name="replay"):
    """Somebody has a dead letter replayed, under an Idempotency-Key.

    The letter is gone afterwards: this is what a repeat finds. `letter` is the letter's identity.
    """

    number: int
    letter: str
    by: str
    task_id: UUID | None = None

    @property
    def subject_id(self) -> str:
        """The letter's number."""
        return str(self.number)
