"""The code of an error that somebody else gives us reads the same wherever it is given."""

import pytest
from pydantic import BaseModel, ValidationError

from gateway.agents.facts import SaidError
from gateway.sessions.requests import FailSessionRequest
from gateway.tasks.requests import FailRequest

GIVEN: list[tuple[type[BaseModel], str]] = [
    (SaidError, "code"),
    (FailRequest, "code"),
    (FailSessionRequest, "error_code"),
]


@pytest.mark.parametrize(("body", "name"), GIVEN)
def test_a_code_has_letters_digits_and_three_marks(body: type[BaseModel], name: str) -> None:
    said = {"message": "No."} if body is SaidError else {}
    for code in ("no_disk", "NO_DISK", "no-disk.2", "507", "x" * 64):
        assert getattr(body.model_validate({**said, name: code}), name) == code
    for code in ("", "no disk", "no\ndisk", "disk\n", "dïsk", "x" * 65):
        with pytest.raises(ValidationError):
            body.model_validate({**said, name: code})
