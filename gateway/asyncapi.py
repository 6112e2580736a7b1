"""One AsyncAPI 3 document for all sockets and streams, made from the event classes and the models of the frames."""

import inspect
from functools import cache

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from events.base import CATALOGUE, EventData
from gateway.compat.vocabulary import SOCKETS, CompatSocketWords
from gateway.live.frame_models import CURSOR, FROM_CLIENT, FROM_SERVER
from gateway.live.rooms import lists_of
from gateway.version import running_version

Json = dict[str, object]

VERSION = "3.0.0"
_REF = "#/components/schemas/{model}"
_BEARER = {"$ref": "#/components/securitySchemes/bearer"}


def shown_events() -> dict[str, type[EventData]]:
    """What subscribers see, by the name they see: `task.running` and the rest."""
    named = {f"{payload.aggregate}.{payload.event_name}": payload for payload in CATALOGUE.values()}
    return {
        name: payload for name, payload in sorted(named.items()) if payload.subject_root == "bus" and lists_of(name)
    }


@cache
def document() -> Json:
    """The whole document. Treat it as frozen."""
    events = shown_events()
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Ganglion",
            "version": running_version(),
            "description": "Live events of agent work over WebSocket and server-sent events, with one cursor for both: "
            "see docs/subscribe.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "websocket": _server("ws", "WebSocket"),
            "http": _server("http", "Server-sent events"),
        },
        "channels": {
            "live": {
                "address": "/ws",
                "title": "Any number of rooms on one socket",
                "servers": [{"$ref": "#/servers/websocket"}],
                "messages": _messages((*_client_names(), *_server_names(), *map(_event_message, events))),
            },
            "stream": {
                "address": "/api/v1/stream",
                "title": "One room as server-sent events",
                "description": "`?room=`, and `?after=` or `Last-Event-ID`; `event` is the name, `id` the cursor.",
                "servers": [{"$ref": "#/servers/http"}],
                "messages": _messages(tuple(map(_event_message, events))),
            },
            **{socket.channel: _compat_channel(socket) for socket in SOCKETS},
        },
        "operations": {
            "ask": _operation("receive", "live", _client_names(), "What a client may say"),
            "tell": _operation("send", "live", (*_server_names(), *map(_event_message, events)), "What it is told"),
            "stream": _operation("send", "stream", tuple(map(_event_message, events)), "What a stream carries"),
            **{
                f"{socket.channel}Tell": _operation("send", socket.channel, (socket.message,), socket.title)
                for socket in SOCKETS
            },
        },
        "components": {
            "messages": {
                **{_name(model): _control_message(model) for model in (*FROM_CLIENT, *FROM_SERVER)},
                **{_event_message(name): _event(name, payload) for name, payload in events.items()},
                **{socket.message: _compat_message(socket) for socket in SOCKETS},
            },
            "schemas": _schemas(events),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _server(protocol: str, title: str) -> Json:
    return {
        "host": "{host}",
        "protocol": protocol,
        "title": title,
        "variables": {"host": {"default": "127.0.0.1:8080", "description": "Where the gateway listens"}},
        "security": [_BEARER],
    }


def _messages(names: tuple[str, ...]) -> Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operation(action: str, channel: str, messages: tuple[str, ...], summary: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _client_names() -> tuple[str, ...]:
    return tuple(map(_name, FROM_CLIENT))


def _server_names() -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_name, FROM_SERVER)))


def _name(model: type[BaseModel]) -> str:
    return model.__name__.removesuffix("Frame").lower()


def _event_message(event: str) -> str:
    return "event." + event


def _control_message(model: type[BaseModel]) -> Json:
    return {
        "name": _name(model),
        "title": model.__name__.removesuffix("Frame"),
        "summary": _first_sentence(model),
        "payload": {"$ref": _REF.format(model=model.__name__)},
    }


def _event(name: str, payload: type[EventData]) -> Json:
    return {
        "name": name,
        "title": name,
        "summary": _first_sentence(payload),
        "payload": {
            "type": "object",
            "required": ["type", "id", "cursor", "event", "time", "subject", "data"],
            "properties": {
                "type": {"const": "event"},
                "id": {"type": "string", "description": "The subscription's; absent in a stream"},
                "cursor": {"type": "string", "pattern": CURSOR},
                "event": {"const": name},
                "time": {"type": "string", "format": "date-time"},
                "subject": {"type": ["string", "null"], "description": "The id of what the event is about"},
                "data": {"$ref": _REF.format(model=payload.__name__)},
            },
        },
    }


def _compat_channel(socket: CompatSocketWords) -> Json:
    channel: Json = {
        "address": socket.path,
        "title": socket.title,
        "servers": [{"$ref": "#/servers/websocket"}],
        "messages": _messages((socket.message,)),
    }
    if "{id}" in socket.path:
        channel["parameters"] = {"id": {"description": f"The id of the {socket.what}"}}
    return channel


def _compat_message(socket: CompatSocketWords) -> Json:
    return {"name": socket.message, "title": socket.title, "payload": socket.schema()}


def _schemas(events: dict[str, type[EventData]]) -> Json:
    models = (*events.values(), *FROM_CLIENT, *FROM_SERVER)
    _, generated = models_json_schema([(model, "validation") for model in dict.fromkeys(models)], ref_template=_REF)
    schemas = generated["$defs"]
    assert isinstance(schemas, dict)  # noqa: S101 - pydantic's own structure
    return schemas


def _first_sentence(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].replace("\n", " ")
