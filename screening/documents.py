"""YAML documents: the rules, the policy and the cues are written in it."""

from __future__ import annotations

import yaml

_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: half of what compiling the rules costs at every start is saved by it."""


def parsed(raw: str | bytes) -> object:
    """What a YAML document says, in plain values; raises yaml.YAMLError. No object of a class can come out of it."""
    return yaml.load(raw, Loader=_LOADER)  # noqa: S506 - both are safe loaders


def said_twice(raw: str) -> str | None:
    """Where a YAML document has a key twice, of which the last would count; raises yaml.YAMLError."""
    looked_at: set[int] = set()  # an alias may lead back to where it stands
    waiting = [yaml.compose(raw, Loader=_LOADER)]
    while waiting:
        node = waiting.pop()
        if id(node) in looked_at:
            continue
        looked_at.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            if (key := _repeated(node)) is not None:
                at = key.start_mark
                return f"line {at.line + 1}, column {at.column + 1}: '{key.value}' is there twice"
            waiting += [value for _, value in node.value]
    return None


def _repeated(node: yaml.MappingNode) -> yaml.ScalarNode | None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                return key
            seen.add(key.value)
    return None
