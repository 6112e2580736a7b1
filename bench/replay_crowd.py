"""`python -m bench.replay_crowd HOST PORT TOKEN AFTER COUNT EVENTS`: late subscribers, in a process of their own.

Prints how many seconds it took until each had its events.
"""

import sys
from time import perf_counter

import uvloop

from bench.crowd import Crowd
from bench.fanout import EVENT


async def main() -> None:
    """Subscribe after a cursor and wait for the end."""
    host, port, token, after, count, events = sys.argv[1:]
    crowd = Crowd(EVENT)
    await crowd.connect(host, int(port), "/ws", int(count), f"Authorization: Bearer {token}\r\n")
    began = perf_counter()
    crowd.expect(int(events))
    for listener in crowd.listeners:
        listener.send(b'{"type":"subscribe","id":"late","room":"tasks","after":"%s"}' % after.encode())
    await crowd.complete(within=600)
    sys.stdout.write(f"{perf_counter() - began:.2f}\n")
    crowd.close()


if __name__ == "__main__":
    uvloop.run(main())
