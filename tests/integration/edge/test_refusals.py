"""Wrong input and wrong callers: a clear problem or close code, and nothing changed."""

import asyncio
import json
import re
from uuid import UUID, uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.http.bodies import MAX_BODY
from tests.support.fake_keeper import FakeKeeper
from tests.support.running_gateway import ORIGIN, RunningGateway, token
from tests.support.tokens import REFUSED, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOAL = {"goal": "Summarise the incident notes"}
JSON = {"Content-Type": "application/json"}
READS = ("get", "head", "options")


def assert_is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"{", 400, "bad_json"),
    "nothing": (b"", 400, "bad_json"),
    "not UTF-8": (b'{"goal": "\xff"}', 400, "bad_json"),
    "NaN": (b'{"goal": "x", "metadata": {"a": NaN}}', 400, "bad_json"),
    "infinity": (b'{"goal": "x", "metadata": {"a": 1e999}}', 400, "bad_json"),
    "too deep for a parser": (b"[" * 100_000, 400, "bad_json"),
    "a list": (b"[]", 422, "invalid_request"),
    "a text": (b'"x"', 422, "invalid_request"),
    "no goal": (b"{}", 422, "invalid_request"),
    "a blank goal": (b'{"goal": " \\n "}', 422, "invalid_request"),
    "a goal of a wrong type": (b'{"goal": 1}', 422, "invalid_request"),
    "a long goal": (json.dumps({"goal": "x" * 100_001}).encode(), 422, "invalid_request"),
    "an unknown field": (b'{"goal": "x", "owner": "mallory"}', 422, "invalid_request"),
    "an unknown budget field": (b'{"goal": "x", "budget": {"max_tokens": 1, "free": true}}', 422, "invalid_request"),
    "a number as text": (b'{"goal": "x", "budget": {"max_tokens": "1"}}', 422, "invalid_request"),
    "a flag as a number": (b'{"goal": "x", "budget": {"max_tokens": true}}', 422, "invalid_request"),
    "a priority of another scale": (b'{"goal": "x", "priority": 5}', 422, "invalid_request"),
    "NUL in a text": (b'{"goal": "a\\u0000b"}', 422, "invalid_request"),
    "NUL in a key": (b'{"goal": "x", "metadata": {"a\\u0000": 1}}', 422, "invalid_request"),
    "NUL deep inside": (b'{"goal": "x", "metadata": {"a": [{"b": "\\u0000"}]}}', 422, "invalid_request"),
    "a lone surrogate": (b'{"goal": "a\\ud800b"}', 422, "invalid_request"),
    "too deep": (b'{"goal": "x", "metadata": ' + b'{"a": ' * 40 + b"1" + b"}" * 41, 422, "invalid_request"),
    "too many values": (b'{"goal": "x", "metadata": {"a": [' + b"1," * 20_000 + b"1]}}", 422, "invalid_request"),
    "2 MiB": (b'{"goal": "' + b"x" * 2 * MAX_BODY + b'"}', 413, "body_too_large"),
}


@pytest.mark.parametrize("path", ["/submit", "/api/v1/tasks"])
async def test_a_wrong_body_is_refused_and_changes_nothing(
    newcomer: httpx.AsyncClient, keeper: FakeKeeper, path: str
) -> None:
    before = keeper.position
    for name, (body, status, code) in BODIES.items():
        answer = await newcomer.post(path, content=body, headers=JSON)
        assert answer.status_code == status, (name, answer.text)
        assert_is_problem(answer, status, code)
        if status == 422:
            assert answer.json()["errors"], name
    assert (await newcomer.get("/api/v1/tasks")).json() == {"items": [], "next_cursor": None}
    assert keeper.position == before


async def test_a_body_without_a_length_is_bounded_too(alice: httpx.AsyncClient) -> None:
    async def endless() -> object:
        for _ in range(40):
            yield b" " * 65_536

    answer = await alice.post("/submit", content=endless(), headers=JSON)  # type: ignore[arg-type] # an async iterator
    assert_is_problem(answer, 413, "body_too_large")


async def test_only_json_is_understood(alice: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""):
        answer = await alice.post("/submit", content=b"{}", headers={"Content-Type": content_type})
        assert_is_problem(answer, 415, "unsupported_media_type")


async def test_a_key_that_is_not_printable_or_too_long_is_refused(alice: httpx.AsyncClient) -> None:
    for key in ("x" * 256, "a b", "\xe4"):
        answer = await alice.post("/submit", json=GOAL, headers={b"Idempotency-Key": key.encode("latin-1")})
        assert_is_problem(answer, 422, "invalid_request")


async def test_an_id_that_is_none_names_nothing(alice: httpx.AsyncClient) -> None:
    for name in ("*", ">", "%2e%2e", "x", "0", "%00", "00000000000000000000000000000000"):
        for path in (f"/tasks/{name}", f"/api/v1/tasks/{name}", f"/api/v1/tasks/{name}/events"):
            answer = await alice.get(httpx.URL(alice.base_url, raw_path=path.encode()))
            assert_is_problem(answer, 404, "not_found")


async def test_dots_in_a_path_lead_nowhere(gateway: RunningGateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for path in ("/tasks/..", "/api/v1/tasks/../../../etc/passwd"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert b"application/problem+json" in head
        await reader.readexactly(length)
    writer.close()


async def test_a_cursor_that_is_none_is_refused(alice: httpx.AsyncClient) -> None:
    task_id = (await alice.post("/submit", json=GOAL)).json()["task_id"]
    for after in ("yesterday", "-1", "1", "a-b", "0-0-0", "*", "a" * 300, "01a-9999999999999999999"):
        for path in ("events", "stream"):
            answer = await alice.get(f"/api/v1/tasks/{task_id}/{path}", params={"after": after})
            assert_is_problem(answer, 422, "invalid_cursor")


async def test_a_list_cursor_that_is_none_is_refused(alice: httpx.AsyncClient) -> None:
    for cursor in ("x", "WzEsMl0", "W10", "bnVsbA", "e30", "8J-YgA"):
        answer = await alice.get("/api/v1/tasks", params={"cursor": cursor})
        assert_is_problem(answer, 422, "invalid_cursor")
        assert "next_cursor" in answer.json()["detail"]  # and not the cursor of an event


async def test_wrong_filters_are_refused(alice: httpx.AsyncClient) -> None:
    for wrong in ({"limit": "0"}, {"limit": "101"}, {"status": "done"}, {"created_after": "today"}):
        assert_is_problem(await alice.get("/api/v1/tasks", params=wrong), 422, "invalid_request")


async def test_what_does_not_exist_is_a_problem_too(alice: httpx.AsyncClient) -> None:
    assert_is_problem(await alice.get("/nowhere"), 404, "not_found")
    assert_is_problem(await alice.delete("/submit"), 405, "method_not_allowed")
    assert_is_problem(await alice.put("/api/v1/tasks"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/api/v1/tasks", {"GET", "HEAD", "POST"}), ("/submit", {"POST"}), ("/openapi.json", {"GET", "HEAD"})],
)
async def test_a_wrong_method_is_told_which_are_right(alice: httpx.AsyncClient, path: str, methods: set[str]) -> None:
    answer = await alice.put(path)
    assert_is_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == methods


async def test_no_bad_token_opens_any_door(gateway: RunningGateway, keeper: FakeKeeper) -> None:
    before = keeper.position
    async with gateway.client("") as nobody:
        for fault, make in REFUSED.items():
            bearer = {"Authorization": f"Bearer {make()}"}
            if fault == "64 kB":
                bearer = {"Authorization": f"Bearer {make()[:60_000]}"}
            answer = await nobody.post("/submit", json=GOAL, headers=bearer)
            assert answer.status_code == 401, fault
            assert_is_problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert keeper.position == before


async def test_no_bad_token_opens_a_socket(gateway: RunningGateway) -> None:
    for fault in (
        "alg none",
        "expired",
        "foreign signature",
        "sub with a wildcard",
        "doubled claims",
        "wrong audience",
    ):
        async with gateway.socket(REFUSED[fault]()) as socket:
            assert await socket.closed() == (4401, "unauthorized"), fault
        async with gateway.socket("") as socket:
            await socket.send(type="auth", token=REFUSED[fault]())
            assert await socket.closed() == (4401, "unauthorized"), fault


async def test_every_route_wants_a_token(gateway: RunningGateway) -> None:
    async with gateway.client("") as nobody:
        paths = (await nobody.get("/openapi.json")).json()["paths"]
        open_to_all = {"/", "/livez", "/readyz", "/health", "/ready", "/metrics", "/asyncapi.json"}
        for path, methods in paths.items():
            for method in methods:
                url = re.sub(r"{\w+}", str(uuid4()), path.replace("{number}", "1"))
                answer = await nobody.request(method, url)
                # A webhook's handshake comes before its sender has a token (CloudEvents, HTTP webhook 4.1).
                asks_first = method == "options" or path in open_to_all or path.startswith("/schemas")
                assert (answer.status_code == 401) == (not asks_first), (method, path, answer.status_code)


async def test_a_viewer_changes_nothing(gateway: RunningGateway) -> None:
    """By the role alone; what may be asked with POST is listed."""
    async with gateway.client(signed(scope=None, role="viewer")) as viewer:
        assert (await viewer.get("/api/v1/tasks")).status_code == 200
        paths = (await viewer.get("/openapi.json")).json()["paths"]
        changes = [(method, path) for path, methods in paths.items() for method in methods if method not in READS]
        asked = {path: re.sub(r"{\w+}", str(uuid4()), path.replace("{number}", "1")) for _, path in changes}
        answers = {(method, path): await viewer.request(method, asked[path]) for method, path in changes}
    assert len(answers) > 50
    asks = {("post", "/api/v1/agents/route"): 415, ("post", "/api/v1/events"): 415}  # the latter by each event's type
    assert {one: answer.status_code for one, answer in answers.items() if answer.status_code != 403} == asks


async def test_scopes_are_demanded(gateway: RunningGateway) -> None:
    async with gateway.client(token(scopes=("tasks:read",))) as reader:
        answer = await reader.post("/submit", json=GOAL)
        assert_is_problem(answer, 403, "missing_scope")
        assert_is_problem(await reader.post(f"/api/v1/tasks/{uuid4()}/cancel"), 403, "missing_scope")
    async with gateway.client(token(scopes=("tasks:write",))) as writer:
        task_id = (await writer.post("/submit", json=GOAL)).json()["task_id"]
        for path in (f"/tasks/{task_id}", "/api/v1/tasks", f"/api/v1/tasks/{task_id}/stream"):
            assert_is_problem(await writer.get(path), 403, "missing_scope")
    async with gateway.socket(token(scopes=("tasks:write",))) as socket:
        assert await socket.closed() == (4403, "missing_scope")


async def test_nobody_finds_what_is_anothers(gateway: RunningGateway, alice: httpx.AsyncClient) -> None:
    task_id = (await alice.post("/submit", json=GOAL)).json()["task_id"]
    paths = (await alice.get("/openapi.json")).json()["paths"]
    strangers = (token("bob"), token(tenant="other"), token("root", tenant="other", scopes=("admin",)))
    for bearer in strangers:
        async with gateway.client(bearer) as stranger:
            for path, methods in paths.items():
                for method in methods:
                    if "{task_id}" in path:
                        answer = await stranger.request(method, path.replace("{task_id}", task_id))
                        assert_is_problem(answer, 404, "not_found")
            assert (await stranger.get("/api/v1/tasks")).json()["items"] == []
        async with gateway.socket(bearer) as socket:
            await socket.receive()
            await socket.send(type="subscribe", id="a", room=f"task:{task_id}")
            assert (await socket.receive())["code"] == "not_found"
            await socket.send(type="subscribe", id="b", room="tasks", after="0")
            await socket.until("subscribed")
            await alice.post("/submit", json=GOAL)
            await socket.send(type="ping")
            assert (await socket.receive())["type"] == "pong"
    async with gateway.client(token("root", scopes=("admin",))) as admin:
        assert (await admin.get(f"/api/v1/tasks/{task_id}")).status_code == 200


async def test_a_socket_may_authenticate_in_three_ways(gateway: RunningGateway) -> None:
    async with gateway.socket() as socket:
        assert (await socket.receive())["type"] == "hello"
    async with gateway.socket("", protocols=["ganglion.v1", f"bearer.{token()}"]) as socket:
        assert socket.connection.subprotocol == "ganglion.v1"
        assert (await socket.receive())["type"] == "hello"
    async with gateway.socket("") as socket:
        await socket.send(type="auth", token=token())
        assert (await socket.receive())["type"] == "hello"


async def test_a_socket_that_says_anything_else_first_is_closed(gateway: RunningGateway) -> None:
    async with gateway.socket("") as socket:
        await socket.send(type="subscribe", id="a", room="tasks")
        assert (await socket.closed())[0] == 4401


async def test_a_socket_that_says_nothing_is_closed(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.live.ws._AUTH_WITHIN", 0.3)
    async with gateway.socket("") as socket:
        assert (await socket.closed(within=2))[0] == 4401


async def test_a_socket_closes_when_its_token_expires_unless_it_gets_a_newer_one(gateway: RunningGateway) -> None:
    short = token(lifetime=-29)
    async with gateway.socket(short) as ends, gateway.socket(short) as goes_on:
        await goes_on.receive()
        await goes_on.send(type="auth", token=token())
        assert (await ends.closed())[0] == 4401
        await goes_on.send(type="ping")
        assert (await goes_on.receive())["type"] == "pong"


async def test_a_socket_does_not_change_hands(gateway: RunningGateway) -> None:
    async with gateway.socket() as socket:
        await socket.receive()
        await socket.send(type="auth", token=token("bob"))
        assert (await socket.closed())[0] == 4401


async def test_only_known_origins_open_a_socket(gateway: RunningGateway) -> None:
    for origin in (ORIGIN, gateway.url):
        async with gateway.socket(origin=origin) as socket:
            assert (await socket.receive())["type"] == "hello"
    for origin in ("https://evil.example", "null", f"{gateway.url}.evil.example", "http://["):
        with pytest.raises(Exception, match="403"):
            async with gateway.socket(origin=origin):
                pass


async def test_only_known_origins_are_allowed_to_read_answers(alice: httpx.AsyncClient) -> None:
    allowed = await alice.get("/livez", headers={"Origin": ORIGIN})
    refused = await alice.get("/livez", headers={"Origin": "https://evil.example"})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in refused.headers


async def test_a_page_of_a_known_origin_may_send_what_a_stream_is_resumed_with(alice: httpx.AsyncClient) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = await alice.options(
        "/api/v1/stream", headers={**preflight, "Access-Control-Request-Headers": "authorization, last-event-id"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_a_harmful_request_id_is_replaced(alice: httpx.AsyncClient) -> None:
    answer = await alice.get("/livez", headers={"X-Request-Id": "a b;c", "traceparent": "00-xyz"})
    assert answer.headers["x-request-id"] != "a b;c"
    assert answer.headers["traceparent"] != "00-xyz"


async def test_a_bug_shows_nothing_of_itself(
    gateway: RunningGateway, alice: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret is 1234")

    monkeypatch.setattr("gateway.tasks.lookup.find_task", broken)
    with capture_logs() as logged:
        answer = await alice.get(f"/api/v1/tasks/{uuid4()}")
    assert_is_problem(answer, 500, "internal_error")
    assert "1234" not in answer.text
    failures = [line["request_id"] for line in logged if line["event"] == "request_failed"]
    assert failures == [answer.headers["x-request-id"]]


async def test_requests_are_measured_by_route_and_never_by_id(alice: httpx.AsyncClient) -> None:
    before = _counts((await alice.get("/metrics")).text)
    task_id = (await alice.post("/submit", json=GOAL)).json()["task_id"]
    await alice.get(f"/tasks/{task_id}")
    await alice.get("/nowhere")
    text = (await alice.get("/metrics")).text
    after = _counts(text)
    for method, endpoint, status in (
        ("POST", "/submit", 202),
        ("GET", "/tasks/{task_id}", 200),
        ("GET", "unmatched", 404),
    ):
        labels = f'{{endpoint="{endpoint}",method="{method}",status="{status}"}}'
        series = f"orchestrator_http_request_duration_seconds_count{labels}"
        assert after[series] - before.get(series, 0) == 1
    submitted = 'orchestrator_tasks_submitted_total{priority="normal"}'
    assert after[submitted] - before.get(submitted, 0) == 1
    assert task_id not in text


def _counts(text: str) -> dict[str, float]:
    """Each series of an exposition with its value."""
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines()) if name[:1] != "#"
    }


async def test_cancel_is_the_outcome_of_its_own_event(alice: httpx.AsyncClient, keeper: FakeKeeper) -> None:
    task_id = (await alice.post("/submit", json=GOAL)).json()["task_id"]
    cancel = f"/api/v1/tasks/{task_id}/cancel"
    first = await alice.post(cancel, json={"reason": "no longer needed"}, headers={"Idempotency-Key": "k"})
    assert first.status_code == 200, first.text
    again = await alice.post(cancel, json={"reason": "no longer needed"}, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert_is_problem(await alice.post(cancel), 409, "task_final")
    assert_is_problem(await alice.post(cancel, json={"why": 1}), 422, "invalid_request")
    assert_is_problem(await alice.post(cancel, content=b"x"), 415, "unsupported_media_type")
    assert_is_problem(await alice.post(f"/api/v1/tasks/{uuid4()}/cancel"), 404, "not_found")
    other = (await alice.post("/submit", json=GOAL)).json()["task_id"]
    conflict = await alice.post(f"/api/v1/tasks/{other}/cancel", headers={"Idempotency-Key": "k"})
    assert_is_problem(conflict, 409, "idempotency_conflict")


async def test_lists_are_paged_and_filtered(newcomer: httpx.AsyncClient, keeper: FakeKeeper) -> None:
    ids = [(await newcomer.post("/api/v1/tasks", json={**GOAL, "priority": n % 2})).json()["task_id"] for n in range(5)]
    await keeper.enter(UUID(ids[0]), "succeeded")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (
            await newcomer.get("/api/v1/tasks", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [task["task_id"] for task in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]

    async def filtered(**filters: str | list[str]) -> list[str]:
        return [task["task_id"] for task in (await newcomer.get("/api/v1/tasks", params=filters)).json()["items"]]

    assert await filtered(status="succeeded") == [ids[0]]
    assert await filtered(status=["succeeded", "submitted"], priority="high") == [ids[3], ids[1]]
    assert await filtered(kind="turn") == []
    middle = (await newcomer.get(f"/api/v1/tasks/{ids[2]}")).json()["created_at"]
    assert await filtered(created_after=middle) == [ids[4], ids[3]]
    assert await filtered(created_before=middle) == [ids[1], ids[0]]
