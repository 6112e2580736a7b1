"""What consumers count can be scraped, on the port that was asked for and no other."""

import httpx
import pytest

import consumers.app  # noqa: F401 - what consumers count is declared where they are
from consumers._metrics import MetricsPortError, MetricsSettings, served


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
