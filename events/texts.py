"""Every text that somebody wrote in a request or a result, by its place; and the same with some texts replaced.

A place is a path of keys and indices. A key that is not a plain short word is named by its number (`metadata/#2`):
a place goes into findings, reasons and logs, and what somebody wrote as a key must not.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import JsonValue

from events.base import JsonObject
from events.context import referred_context
from events.task import TaskContext, TaskSpec

_PLAIN = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_MAX_DIGITS = 4
KEY = "#key"

V = TypeVar("V", bound=JsonValue)


def texts_of(spec: TaskSpec) -> dict[str, str]:
    """Every text of a request: goal, context, references, data, constraints, acceptance criteria, metadata.

    That a reference names a context is no text: what the context holds is screened where an agent is given it.
    """
    texts = {"goal": spec.prompt}
    if spec.context.text:
        texts["context"] = spec.context.text
    for place, value in _nested(spec).items():
        if value:
            texts.update(texts_in(value, place))
    for index, ref in enumerate(spec.context.refs):
        if referred_context(ref) is not None:  # an id of ours: its digits may look like anybody's number
            del texts[f"context/refs/{index}"]
    return texts


def with_texts(spec: TaskSpec, replaced: Mapping[str, str]) -> TaskSpec:
    """The request with the texts at some places replaced, as an agent may see it."""
    if not replaced:
        return spec
    new = {place: replace_texts(value, place, replaced) for place, value in _nested(spec).items()}
    context = TaskContext.model_construct(
        text=replaced.get("context", spec.context.text),
        refs=tuple(new["context/refs"]),  # type: ignore[arg-type]  # a list for a list
        data=new["context/data"],  # type: ignore[arg-type]  # an object for an object
    )
    changes: dict[str, object] = {
        "prompt": replaced.get("goal", spec.prompt),
        "context": context,
        "constraints": new["constraints"],
        "acceptance_criteria": tuple(new["acceptance_criteria"]),  # type: ignore[arg-type]  # as above
        "metadata": new["metadata"],
    }
    return spec.model_copy(update=changes)


def _nested(spec: TaskSpec) -> dict[str, JsonValue]:
    return {
        "context/refs": [*spec.context.refs],
        "context/data": spec.context.data,
        "constraints": spec.constraints,
        "acceptance_criteria": [*spec.acceptance_criteria],
        "metadata": spec.metadata,
    }


def texts_in(value: JsonValue, place: str) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value by its place, keys too (`place/key#key`); no two texts share a place."""
    waiting = [(place, value)]
    while waiting:
        at, item = waiting.pop()
        if isinstance(item, str):
            yield at, item
        elif isinstance(item, list):
            waiting += [(f"{at}/{index}", inner) for index, inner in enumerate(item)]
        elif isinstance(item, dict):
            for index, (key, inner) in enumerate(item.items()):
                below = step(at, key, index)
                if key:
                    yield below + KEY, key
                waiting.append((below, inner))


def replace_texts(value: V, place: str, replaced: Mapping[str, str]) -> V:
    """The same JSON value with the texts at some places replaced, keys too."""
    if isinstance(value, str):
        return replaced.get(place, value)  # type: ignore[return-value]  # a text for a text
    if isinstance(value, list):
        return [replace_texts(item, f"{place}/{index}", replaced) for index, item in enumerate(value)]  # type: ignore[return-value]  # a list for a list
    if not isinstance(value, dict):
        return value
    result: JsonObject = {}
    for index, (key, item) in enumerate(value.items()):
        at = step(place, key, index)
        result[replaced.get(at + KEY, key)] = replace_texts(item, at, replaced)
    return result  # type: ignore[return-value]  # an object for an object


def step(place: str, key: str, index: int) -> str:
    """The place of what an object holds under its `index`th key."""
    plain = _PLAIN.match(key) and (key.isalpha() or sum(char.isdigit() for char in key) <= _MAX_DIGITS)
    return f"{place}/{key}" if plain else f"{place}/#{index}"
