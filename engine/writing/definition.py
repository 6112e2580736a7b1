"""definition.json: the specification as an agent definition that a runtime can load (requirements 001.2)."""

import re
from typing import cast

import orjson

from engine.writing.cast import LEAD, path_of, role_of
from events.base import JsonObject

PATH = "/definition.json"
_MODEL: JsonObject = {"provider": "openai", "model": "default"}


def read(text: str) -> JsonObject:
    """The definition that a draft has; empty when it has none that can be read."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return cast("JsonObject", found) if isinstance(found, dict) else {}


def write(title: str, serving: dict[str, list[str]], present: JsonObject, author: str) -> str:
    """The whole file. Nodes and tools that only the draft has stay; the version counts up."""
    names = [LEAD, *serving]
    nodes = {name: _node(name, serving.get(name, [])) for name in names}
    old = [node for node in _objects(present.get("nodes")) if isinstance(node.get("id"), str)]
    merged = [nodes.pop(str(node["id"]), {}) | node for node in old] + list(nodes.values())
    for node in merged:
        if node["id"] in serving:
            node["requirements"] = list(serving[str(node["id"])])
    definition: JsonObject = present | {
        "name": present.get("name") or _slug(title),
        "version": _next(present.get("version")),
        "written_by": author,
        "tool_definitions": [*_tools(present, names)],
        "nodes": [*merged],
        "edges": [*_edges(present, list(serving))],
    }
    return orjson.dumps(definition, option=orjson.OPT_INDENT_2).decode()


def faults(text: str) -> list[str]:
    """What a runtime would refuse in it; empty when nothing."""
    found = read(text)
    nodes = _objects(found.get("nodes"))
    ids = {str(node.get("id")) for node in nodes}
    edges = _objects(found.get("edges"))
    loose = [edge for edge in edges if str(edge.get("from")) not in ids or str(edge.get("to")) not in ids]
    problems = ["it has no nodes"] if not nodes else []
    if len(ids) != len(nodes):
        problems.append("two nodes have one id")
    if not any(node.get("type") == "orchestrator" for node in nodes):
        problems.append("no node is an orchestrator")
    return problems + [
        f"an edge leads from {edge.get('from')} to {edge.get('to')}, which are not both nodes" for edge in loose
    ]


def _node(name: str, requirements: list[str]) -> JsonObject:
    role = role_of(name)
    prompt = f"You are {name}. You follow /THE_SPEC/constitution.md and do what {path_of(name)} describes."
    return {
        "id": name,
        "type": "orchestrator" if name == LEAD else "specialist",
        "config": {"name": name, "system_prompt": prompt, "tools": [*role.tools], "model": dict(_MODEL)},
        "requirements": [*requirements],
    }


def _tools(present: JsonObject, names: list[str]) -> list[JsonObject]:
    tools = {str(tool.get("name")): tool for tool in _objects(present.get("tool_definitions"))}
    for name in names:
        for tool in role_of(name).tools:
            tools.setdefault(tool, {"name": tool, "description": f"Used by {name}.", "parameters": {"type": "object"}})
    return [tools[name] for name in sorted(tools)]


def _edges(present: JsonObject, specialists: list[str]) -> list[JsonObject]:
    edges = {(str(edge.get("from")), str(edge.get("to"))): edge for edge in _objects(present.get("edges"))}
    for name in specialists:
        edges.setdefault((LEAD, name), {"from": LEAD, "to": name})
    return list(edges.values())


def _objects(value: object) -> list[JsonObject]:
    return [cast("JsonObject", item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _next(version: object) -> str:
    """`0.1.0`, then one more in the last place."""
    found = re.fullmatch(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", str(version))
    return f"{found[1]}.{found[2]}.{int(found[3]) + 1}" if found else "0.1.0"


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:60] or "specification"
