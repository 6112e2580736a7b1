"""Other task queues in the same run, each on servers like ours and by a client of its own (`bench.peers`)."""

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cli.embedded import temporary_home
from deploy.local.servers import Servers

PEERS = ("celery", "procrastinate", "taskiq")
_ROOT = Path(__file__).resolve().parents[1]
_PEERS = _ROOT / ".venv-peers"
"""Their environment, which `make bench` makes."""
_WITHIN = 300.0
_LAST = 2_000


@dataclass(frozen=True, slots=True)
class Carried:
    """What a peer did: tasks a second, and the seconds of each task that was sent alone."""

    rate: float
    seconds: list[float]


class PeerError(Exception):
    """A peer could not be measured; says what it wrote last."""


def installed() -> bool:
    """Whether there is an environment to run them in."""
    return (_PEERS / "installed").exists()


async def carried(peer: str) -> Carried:
    """One measurement of a peer; raises PeerError when it fails or takes more than five minutes."""
    folder = temporary_home()
    try:
        async with Servers(folder) as servers:
            urls = {
                "PEER_REDIS_URL": servers.redis_url,
                "PEER_DATABASE_URL": servers.database_url,
                "PEER_NATS_URL": servers.nats_url,
            }
            return _read(await _output(peer, urls))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _output(peer: str, urls: dict[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(str(_PEERS / "bin" / "python"), "-m", "bench.peers", peer),
        cwd=_ROOT,
        env={**os.environ, **urls},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            output, complaints = await process.communicate()
    except TimeoutError as error:
        raise PeerError(f"{peer} took more than {_WITHIN:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise PeerError(f"{peer}: {complaints.decode(errors='replace')[-_LAST:]}")
    return output


def _read(output: bytes) -> Carried:
    """What the peer's client printed last."""
    found = json.loads(output.splitlines()[-1])
    return Carried(float(found["rate"]), [float(second) for second in found["seconds"]])
