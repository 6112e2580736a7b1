"""What consumers count can be scraped, on the port that was asked for and no other."""

import httpx
import pytest
from prometheus_client import REGISTRY

import consumers.app  # noqa: F401 - what consumers count is declared where they are
from consumers._metrics import MetricsPortError, MetricsSettings, served
from consumers.keeper.metrics import count_statuses
from events.task import STATE_EVENTS, TaskEntered
from tests.unit.consumers.test_task_course import Book


def test_it_is_served_until_the_end_and_then_no_more() -> None:
    with served(MetricsSettings(metrics_port=0)) as url:
        assert url is not None
        text = httpx.get(url, trust_env=False).text
        with pytest.raises(MetricsPortError, match="GANGLION_METRICS_PORT"), served(_at(url)):
            pass
    for name in ("consumer_settled", "keeper_leading", "reflex_verdicts", "reflex_engine_up", "process_resident"):
        assert f"# TYPE ganglion_{name}" in text or f"# TYPE {name}" in text, name
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    with served(_at(url)) as again:
        assert again == url


def _at(url: str) -> MetricsSettings:
    return MetricsSettings(metrics_port=httpx.URL(url).port)


def test_nothing_listens_unless_a_port_is_named() -> None:
    with served(MetricsSettings(metrics_port=None)) as url:
        assert url is None


def test_a_status_is_counted_when_it_is_entered_and_not_again_when_its_reason_changes() -> None:
    """A task on hold waits on for another one, and is still running when its run has ended before that one has."""
    book = Book()
    other = book.submit()
    task = book.submit(
        hold=True, depends_on=[{"task_id": other, "type": link} for link in ("start_to_start", "finish_to_finish")]
    )
    book.check(task)
    book.command(task, "start")
    book.start(other)
    book.start_ready(task)
    book.finish(task)
    said = [event.data for event in book.announced if isinstance(event.data, TaskEntered) and event.taskid == task]
    before = counted()
    count_statuses(said, [])
    entered = {status: times - before[status] for status, times in counted().items()}
    assert [data.status for data in said] == ["waiting", "waiting", "ready", "assigned", "running", "running"]
    assert entered == {**dict.fromkeys(STATE_EVENTS, 0), "waiting": 1, "ready": 1, "assigned": 1, "running": 1}


def counted() -> dict[str, float]:
    """Statuses that tasks entered, as Prometheus is told."""
    name = "orchestrator_task_status_total"
    return {status: REGISTRY.get_sample_value(name, {"status": status}) or 0.0 for status in STATE_EVENTS}
