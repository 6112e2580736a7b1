"""What the gateway counts."""

from gateway.metrics import Metrics


def test_whatever_methods_a_stranger_thinks_of_every_route_is_counted() -> None:
    metrics = Metrics()
    for number in range(2_100):
        metrics.observe(f"METHOD{number}", "/livez", 405, 0.001)
    metrics.observe("POST", "/api/v1/tasks", 202, 0.001)
    said = metrics.text().decode()
    assert 'seconds_count{endpoint="/livez",method="other",status="405"} 2100.0' in said
    assert 'seconds_count{endpoint="/api/v1/tasks",method="POST",status="202"} 1.0' in said
