"""Holding every frame that a test receives to what /asyncapi.json says of it."""

from functools import cache

from jsonschema import Draft202012Validator
from pydantic import JsonValue

from gateway.asyncapi import document


def check_described(frame: dict[str, JsonValue]) -> None:
    """AssertionError unless the frame of `/ws` fits its message's schema."""
    kind = str(frame["type"])
    name = f"event.{frame['event']}" if kind == "event" else kind
    faults = [f"{fault.json_path}: {fault.message[:200]}" for fault in _validator(name).iter_errors(frame)]
    assert not faults, f"{name} is not as /asyncapi.json has it: {faults}"


@cache
def _validator(name: str) -> Draft202012Validator:
    components = document()["components"]
    root = {"components": components, "$ref": f"#/components/messages/{name}/payload"}
    return Draft202012Validator(root)
