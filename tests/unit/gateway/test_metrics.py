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


def test_the_documents_thirteen_names_are_served() -> None:
    said = {line.split()[2] for line in Metrics().text().decode().splitlines() if line.startswith("# TYPE reflex_")}
    assert said >= {
        "reflex_http_requests_total",
        "reflex_http_request_duration_seconds",
        "reflex_pii_detection_duration_seconds",
        "reflex_pii_detections_total",
        "reflex_injection_detection_duration_seconds",
        "reflex_injection_detections_total",
        "reflex_cache_hits_total",
        "reflex_cache_misses_total",
        "reflex_cache_operation_duration_seconds",
        "reflex_rate_limit_allowed_total",
        "reflex_rate_limit_rejected_total",
        "reflex_rate_limit_duration_seconds",
        "reflex_requests_blocked_total",
    }
