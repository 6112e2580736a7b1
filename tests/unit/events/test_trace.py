"""One trace from a request to what it causes and to what it calls."""

from events import trace


def test_a_call_is_a_span_of_its_own_in_the_same_trace() -> None:
    begun = trace.start()
    one, other = trace.call(begun), trace.call(begun)
    assert one is not None
    assert other is not None
    assert trace.parse(one) == one
    assert trace.trace_id(one) == trace.trace_id(other) == trace.trace_id(begun)
    assert len({begun, one, other}) == 3
    assert trace.call("nonsense") is None
