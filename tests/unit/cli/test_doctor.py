"""What `ganglion doctor` says of what the gateway found."""

from cli.client import Document
from cli.doctor import _of_gateway

LAGS: Document = {"ok": False, "detail": "the keeper lags 8.3 s"}
FINE: Document = {"ok": True, "ms": 0.4}


def advice(**checks: Document) -> dict[str, str | None]:
    return {one.name: one.advice for one in _of_gateway({"status": "degraded", "checks": {**checks}})}


def test_a_keeper_that_cannot_work_without_a_server_is_not_to_be_started() -> None:
    given = advice(nats=FINE, postgres={"ok": False, "detail": "away"}, keeper=LAGS)
    assert str(given["postgres"]).startswith("start Postgres")
    assert given["keeper"] == "it goes on by itself when NATS and Postgres are there"


def test_a_keeper_that_lacks_nothing_is_to_be_started() -> None:
    given = advice(nats=FINE, postgres=FINE, keeper=LAGS)
    assert given == {"nats": None, "postgres": None, "keeper": "start a keeper: `python -m consumers keeper`"}
