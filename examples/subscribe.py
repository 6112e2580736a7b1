"""Follow a room of Ganglion's WebSocket and come back after every interruption: `websockets` and nothing of ours.

TOKEN=… python examples/subscribe.py ws://127.0.0.1:8080/ws task:ID [CURSOR]
"""

import asyncio
import json
import os
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

FOR_GOOD = {4400, 4401, 4403, 4404}


async def follow(url: str, token: str, room: str, cursor: str) -> str:
    """Print every frame; say why it is over."""
    failures = 0
    while True:
        try:
            async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
                await socket.send(json.dumps({"type": "subscribe", "id": "it", "room": room, "after": cursor}))
                async for text in socket:
                    frame = json.loads(text)
                    if frame["type"] == "error":
                        if not frame["retryable"]:
                            return f"refused {frame['code']}"
                        break  # the subscription is over although the socket stays open: ask again
                    if frame["type"] in {"event", "snapshot"}:
                        cursor, failures = frame["cursor"], 0
                    if frame["type"] in {"event", "delta", "gap", "snapshot", "end"}:
                        print(text, flush=True)  # noqa: T201 - a command prints
                    if frame["type"] == "end":
                        return "end"
        except (ConnectionClosed, InvalidHandshake, OSError) as error:
            closed = error.rcvd if isinstance(error, ConnectionClosed) else None
            if closed is not None and closed.code in FOR_GOOD:
                return f"closed {closed.code} {closed.reason}"
        failures += 1
        await asyncio.sleep(random.uniform(0, min(10, 0.1 * 2**failures)))


if __name__ == "__main__":
    if len(sys.argv) not in {3, 4} or "TOKEN" not in os.environ:
        sys.exit(__doc__)
    why = asyncio.run(follow(sys.argv[1], os.environ["TOKEN"], sys.argv[2], (*sys.argv[3:], "0")[0]))
    sys.exit(0 if why == "end" else why)
