"""The sample inputs of the demo: realistic requests, and what must become of each."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue

from events import Priority

INPUTS = Path(__file__).resolve().parents[2] / "examples" / "inputs"


class Sample(BaseModel):
    """One file of examples/inputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    goal: str
    context: str | None = None
    acceptance_criteria: tuple[str, ...] = ()
    priority: Priority = "normal"
    expect: Literal["succeeded", "blocked"]

    def request(self) -> dict[str, JsonValue]:
        """The body of `POST /api/v1/tasks`."""
        body: dict[str, JsonValue] = {"goal": self.goal, "priority": self.priority, "metadata": {"sample": self.name}}
        if self.context is not None:
            body["context"] = self.context
        if self.acceptance_criteria:
            body["acceptance_criteria"] = list(self.acceptance_criteria)
        return body


def load(folder: Path = INPUTS) -> list[Sample]:
    """Every sample in order of file name; raises pydantic.ValidationError for a file of another shape."""
    return [Sample.model_validate(yaml.safe_load(path.read_text())) for path in sorted(folder.glob("*.yaml"))]
