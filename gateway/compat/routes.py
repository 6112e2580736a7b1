"""The paths of the compatibility sockets."""

from functools import partial

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from gateway.compat.operations import OperationsSocket
from gateway.compat.refinements import RefinementSocket
from gateway.compat.socket import CompatSocket, Surroundings, serve

PATHS: dict[str, tuple[type[CompatSocket], str]] = {
    "/ws/sessions": (OperationsSocket, "sessions"),
    "/ws/sessions/{id}": (OperationsSocket, "session"),
    "/ws/agents": (OperationsSocket, "agents"),
    "/ws/agents/{id}": (OperationsSocket, "agent"),
    "/ws/tasks/{id}": (OperationsSocket, "task"),
    "/ws/system": (OperationsSocket, "system"),
    "/api/ws/refinements/{id}": (RefinementSocket, "task"),
}
"""Path, what speaks there, and the room it is about."""


def compat_routes(surroundings: Surroundings) -> list[WebSocketRoute]:
    """All of them."""
    return [
        WebSocketRoute(path, partial(_serve, surroundings=surroundings, kind=kind, room=room))
        for path, (kind, room) in PATHS.items()
    ]


async def _serve(websocket: WebSocket, *, surroundings: Surroundings, kind: type[CompatSocket], room: str) -> None:
    what = websocket.path_params.get("id")
    await serve(websocket, surroundings, kind, room if what is None else f"{room}:{what}")
