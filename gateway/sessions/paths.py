"""Where sessions are, for the files that have routes below it."""

from typing import Annotated

from fastapi import Path

HOME = "/api/v1/sessions"
ONE = f"{HOME}/{{session_id}}"

SessionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
