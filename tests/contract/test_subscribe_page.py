"""docs/subscribe.md shows every frame, each as /asyncapi.json describes it, and every room."""

import json
import re
from pathlib import Path

import pytest
from pydantic import JsonValue

from gateway.compat.vocabulary import SOCKETS
from gateway.live.frame_models import FROM_CLIENT, FROM_SERVER
from gateway.live.rooms import LISTS
from tests.support.described import check_described

PAGE = (Path(__file__).parents[2] / "docs" / "subscribe.md").read_text()
FRAMES: list[dict[str, JsonValue]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: str(frame["type"]))
def test_a_frame_is_as_it_is_described(frame: dict[str, JsonValue]) -> None:
    check_described(frame)


def test_every_frame_is_shown() -> None:
    known = {model.__name__.removesuffix("Frame").lower() for model in (*FROM_CLIENT, *FROM_SERVER)}
    assert {str(frame["type"]) for frame in FRAMES} == known | {"event"}


def test_every_room_and_every_path_is_named() -> None:
    for room in (*LISTS, "task:ID", "session:ID", "agent:ID"):
        assert f"| `{room}` |" in PAGE
    for socket in SOCKETS:
        shown = socket.path.replace("refinements/{id}", "refinements/{thread_id}")
        assert f"`{shown}`" in PAGE
        kinds = {word.partition(".")[2] or word for word in socket.words if word != "system.stats"}
        assert not [kind for kind in kinds if f".{kind}`" not in PAGE and f"`{kind}`" not in PAGE]
