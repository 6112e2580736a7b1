"""What the command tells its user when something goes wrong: one clear line and an exit code."""

FAILED, MISUSED, BLOCKED = 1, 2, 3


class CommandError(Exception):
    """The command cannot do what was asked; the text is for the user, `exit_code` for scripts."""

    def __init__(self, text: str, *, exit_code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


_MALFORMED = {400, 413, 422}


def code_of_refusal(status: int) -> int:
    """The exit code for a request that the gateway refused: misuse when the request itself is wrong."""
    return MISUSED if status in _MALFORMED else FAILED
