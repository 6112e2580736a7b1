"""`python -m tests.browser`: examples/subscribe.mjs in headless Chromium, cut off and resumed, beside what GET shows.

Prints `not run: <why>` and ends with 0 where there is no Chromium; `CHROMIUM` names one that is not on the PATH.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from deploy.local.ports import free_port
from tests.support.proxy import proxied
from tests.support.stack import Stack, running_stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "subscribe.mjs"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
PAGE = """<!doctype html><title>subscribe</title><script type="module">
import {{ follow }} from "/subscribe.mjs";
const cursors = [], interruptions = [];
const it = follow({{
  url: {url}, token: {token}, room: {room}, after: "0",
  onFrame: (frame) => {{
    if (frame.type !== "event") return;
    cursors.push(frame.cursor);
    if (cursors.length === 2) fetch("/cut", {{ method: "POST" }});
  }},
  onInterruption: (code) => interruptions.push(code),
}});
const why = await it.done;
await fetch("/result", {{ method: "POST", body: JSON.stringify({{ why, cursors, interruptions }}) }});
</script>"""


def browser() -> str | None:
    """Where Chromium is."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


async def check(chromium: str) -> str | None:
    """What is wrong, or None."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    async with running_stack({"GANGLION_ALLOWED_ORIGINS": json.dumps([origin])}) as stack, stack.client() as client:
        return await _check(chromium, port, stack, client)


async def _check(chromium: str, port: int, stack: Stack, client: httpx.AsyncClient) -> str | None:
    answer = await client.post("/api/v1/tasks", json={"prompt": "Listen.", "hold": True})
    task_id = answer.raise_for_status().json()["task_id"]
    result: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
    async with proxied(stack.runtime.gateway_url) as proxy:
        values = {"url": f"ws://127.0.0.1:{proxy.port}/ws", "token": stack.token(), "room": f"task:{task_id}"}
        page = PAGE.format(**{name: json.dumps(value) for name, value in values.items()})

        async def cut(_: Request) -> Response:
            proxy.cut()
            await client.post(f"/api/v1/tasks/{task_id}/start")
            return Response(status_code=204)

        async def told(request: Request) -> Response:
            result.set_result(await request.json())
            return Response(status_code=204)

        async def shown(_: Request) -> Response:
            return HTMLResponse(page)

        async def example(_: Request) -> Response:
            return FileResponse(EXAMPLE, media_type="text/javascript")

        routes = [
            Route("/", shown),
            Route("/subscribe.mjs", example),
            Route("/cut", cut, methods=["POST"]),
            Route("/result", told, methods=["POST"]),
        ]
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_level="error"))
        serving = asyncio.create_task(server.serve())
        try:
            with tempfile.TemporaryDirectory() as profile:
                seen = await _in_the_browser(chromium, f"http://127.0.0.1:{port}/", profile, result)
        finally:
            server.should_exit = True
            await serving
    history = (await client.get(f"/api/v1/tasks/{task_id}/events")).json()["items"]
    if seen["why"] != "end" or not seen["interruptions"]:
        return f"it was not cut off, or did not see the end: {seen}"
    expected = [item["cursor"] for item in history]
    return None if seen["cursors"] == expected else f"saw {seen['cursors']} and not {expected}"


async def _in_the_browser(
    chromium: str, url: str, profile: str, result: asyncio.Future[dict[str, object]]
) -> dict[str, object]:
    process = await asyncio.create_subprocess_exec(
        *(chromium, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            return await result
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> None:
    """Say how it went."""
    chromium = browser()
    if chromium is None:
        sys.stdout.write("not run: no Chromium is installed (set CHROMIUM to one)\n")
        return
    fault = asyncio.run(check(chromium))
    sys.stdout.write(
        f"examples/subscribe.mjs in {chromium}: {fault or 'every event once and in order, cut off once'}\n"
    )
    sys.exit(1 if fault else 0)


if __name__ == "__main__":
    main()
