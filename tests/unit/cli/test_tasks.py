"""`ganglion tasks`: what is wrong is said before anybody is asked."""

import typing

from typer.testing import CliRunner

from cli.command import app
from cli.errors import MISUSED
from gateway.tasks.reading import Reading


def test_no_longer_page_can_be_asked_for_than_the_gateway_gives() -> None:
    hints = typing.get_type_hints(Reading.tasks, include_extras=True)
    most = next(bound.le for bound in hints["limit"].__metadata__[0].metadata if hasattr(bound, "le"))
    done = CliRunner().invoke(app, ["tasks", "ls", "--limit", str(most + 1)])
    assert done.exit_code == MISUSED
