"""What clients send about agents: the bounds and defaults of document 002 (requirements 002.2)."""

import pytest
from pydantic import JsonValue, ValidationError

from gateway.agents.requests import (
    HeartbeatRequest,
    RegisterAgentRequest,
    RegisterExternalAgentRequest,
    RouteTaskRequest,
)

OFFER: dict[str, JsonValue] = {"name": "AGENT-A", "capabilities": ["sum"]}
EXTERNAL: dict[str, JsonValue] = {"protocol_version": "1.0", "name": "BOT", "capabilities": ["sum"]}
ASKED: dict[str, JsonValue] = {"task_description": "Juggle it.", "required_capabilities": ["juggle"]}


@pytest.mark.parametrize("name", ["AGENT-A", "AGENT-7", "AGENT--", "AGENT-CODE-REVIEWER-2"])
def test_every_name_of_the_documents_pattern_is_taken(name: str) -> None:
    made = RegisterAgentRequest.model_validate({**OFFER, "name": name})
    assert (made.name, made.max_concurrent_capacity, made.agent_type) == (name, 5, "implementer")
    assert made.weights() == {"sum": 1.0}


@pytest.mark.parametrize("capacity", [1, 50])
def test_a_capacity_is_from_1_to_50(capacity: int) -> None:
    assert RegisterAgentRequest.model_validate({**OFFER, "max_concurrent_capacity": capacity})
    for beyond in (0, 51):
        with pytest.raises(ValidationError):
            RegisterAgentRequest.model_validate({**OFFER, "max_concurrent_capacity": beyond})


@pytest.mark.parametrize(
    "kind", ["architect", "implementer", "reviewer", "debugger", "integrator", "orchestrator", "analyst", "optimizer"]
)
def test_every_type_of_the_document_can_be_registered(kind: str) -> None:
    """The origin could not build the last two."""
    assert RegisterAgentRequest.model_validate({**OFFER, "agent_type": kind}).agent_type == kind
    assert RegisterExternalAgentRequest.model_validate({**EXTERNAL, "agent_type": kind}).agent_type == kind


@pytest.mark.parametrize("name", ["MY_BOT-7", "A", "_A-"])
def test_an_external_agent_has_any_name_of_its_own_pattern(name: str) -> None:
    assert RegisterExternalAgentRequest.model_validate({**EXTERNAL, "name": name}).name == name


@pytest.mark.parametrize("status", ["healthy", "degraded", "busy", "offline"])
def test_a_heartbeat_says_one_of_four_things(status: str) -> None:
    assert HeartbeatRequest.model_validate({"status": status}).status == status
    with pytest.raises(ValidationError):
        HeartbeatRequest.model_validate({"status": "well"})


@pytest.mark.parametrize(
    ("member", "least", "most", "below", "above"),
    [
        ("task_description", "x" * 10, "x" * 5_000, "x" * 9, "x" * 5_001),
        ("required_capabilities", ["a"], [f"a{n}" for n in range(32)], [], [f"a{n}" for n in range(33)]),
        ("estimated_complexity", 0.1, 10.0, 0.09, 10.1),
    ],
    ids=["description", "capabilities", "complexity"],
)
def test_a_question_of_routing_has_the_documents_bounds(
    member: str, least: JsonValue, most: JsonValue, below: JsonValue, above: JsonValue
) -> None:
    for within in (least, most):
        assert RouteTaskRequest.model_validate({**ASKED, member: within})
    for beyond in (below, above):
        with pytest.raises(ValidationError):
            RouteTaskRequest.model_validate({**ASKED, member: beyond})


@pytest.mark.parametrize(
    ("said", "meant"),
    [("elite", "elite"), ("premium", "advanced"), ("standard", "competent"), ("trainee", "trainee"), (None, None)],
)
def test_the_tiers_of_both_spellings_are_ours(said: str | None, meant: str | None) -> None:
    assert RouteTaskRequest.model_validate({**ASKED, "min_performance_tier": said}).preferences().min_tier == meant
