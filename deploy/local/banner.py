"""What a developer reads when the stack is ready: where it is, and a line to paste."""

import json
import shlex
from pathlib import Path

from deploy.local.runtime import Runtime

_GOAL = "Summarise: the checkout was down for 12 minutes after a bad deploy; a rollback fixed it."


def curl_line(runtime: Runtime) -> str:
    """A request that submits a task and waits up to 10 s for its result."""
    words = (
        *("curl", "-sS", f"{runtime.gateway_url}/api/v1/tasks"),
        *("-H", f"Authorization: Bearer {runtime.token}"),
        *("-H", "Content-Type: application/json"),
        *("-H", "Prefer: wait=10"),
        *("-d", json.dumps({"goal": _GOAL})),
    )
    return shlex.join(words)


def nats_for_outsiders(runtime: Runtime) -> str:
    """The NATS servers without the admin's password: outsiders come with a token."""
    return ",".join(f"nats://{url.rpartition('@')[2].removeprefix('nats://')}" for url in runtime.nats_url.split(","))


def banner(runtime: Runtime, home: Path) -> str:
    """The text printed once everything is ready."""
    metrics = " and ".join(filter(None, (f"{runtime.gateway_url}/metrics", runtime.metrics_url)))
    return f"""
Ganglion is ready: {runtime.gateway_url}
For producers and agents on NATS, with a token: {nats_for_outsiders(runtime)}
For Prometheus: {metrics}

Development token (owner dev, tenant dev, 24 h):
{runtime.token}

Try it:
{curl_line(runtime)}

State, logs and runtime.json: {home}
Ctrl-C stops everything.
"""
