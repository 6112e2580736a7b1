"""The files that rules write around the requirements."""

import orjson
from langgraph.checkpoint.memory import InMemorySaver

from engine.author import RuleAuthor
from engine.graph import build_graph
from engine.state import texts
from engine.writing import cast, constitution, definition, guardrails
from engine.writing.request import Request
from engine.writing.statements import Requirement, apply


def requirements_of(text: str) -> list[Requirement]:
    return apply(text, [], [], [])[0]


def test_agents_come_from_what_is_asked_for_and_from_the_draft() -> None:
    found = cast.chosen(requirements_of("Search for news. Write a summary."), ["/THE_CAST/PoetAgent.md", "/x.md"])
    assert found == {"PoetAgent": [], "ResearchAgent": ["R-001"], "WritingAgent": ["R-002"]}


def test_what_no_role_is_for_has_an_agent_too() -> None:
    assert cast.chosen(requirements_of("Juggle oranges."), []) == {"TaskAgent": ["R-001"]}


def test_an_agents_file_keeps_what_somebody_wrote_into_it() -> None:
    page = cast.write("WritingAgent", ["R-001"], requirements_of("Write prose."), [], "# Mine\n\n## Serves\n\n- old\n")
    assert page == "# Mine\n\n## Serves\n\n- **R-001** Write prose."


def test_limits_become_principles_and_leave_with_their_requirement() -> None:
    rules = constitution.principles([], requirements_of("Never store names."), ["Ask first."])
    assert rules == [*constitution.CORE, "Never store names. (C-001)", "Ask first."]
    assert constitution.read(constitution.write("T", rules)) == rules
    assert constitution.principles(rules, [], []) == [*constitution.CORE, "Ask first."]


def test_a_definition_can_be_loaded_and_keeps_what_only_the_draft_has() -> None:
    first = definition.write("My Title", {"WritingAgent": ["R-001"]}, {}, "rules")
    assert definition.faults(first) == []
    found = definition.read(first)
    assert (found["name"], found["version"]) == ("my-title", "0.1.0")
    nodes = found["nodes"]
    assert isinstance(nodes, list)
    own = found | {"nodes": [*nodes, {"id": "Mine", "type": "specialist"}], "owner": "me"}
    again = definition.read(definition.write("Other", {"ReviewAgent": []}, own, "rules"))
    assert (again["name"], again["version"], again["owner"]) == ("my-title", "0.1.1", "me")
    assert definition.faults(orjson.dumps(again).decode()) == []
    nodes = again["nodes"]
    assert isinstance(nodes, list)
    assert [node["id"] for node in nodes if isinstance(node, dict)] == [
        "OrchestratorAgent",
        "WritingAgent",
        "Mine",
        "ReviewAgent",
    ]


def test_a_definition_that_no_runtime_can_load_is_told() -> None:
    assert definition.faults("no json") == ["it has no nodes", "no node is an orchestrator"]
    loose = {"nodes": [{"id": "a", "type": "orchestrator"}], "edges": [{"from": "a", "to": "b"}]}
    assert definition.faults(orjson.dumps(loose).decode()) == ["an edge leads from a to b, which are not both nodes"]


def test_guardrails_find_what_a_person_should_see() -> None:
    found = requirements_of("Delete customer data of every user. Be user-friendly. Greet.")
    checks = {(finding["check"], finding["where"]) for finding in guardrails.assess(found, "", [])}
    assert checks == {
        ("destructive or binding action", "R-001"),
        ("personal data", "R-001"),
        ("unbounded scope", "R-001"),
        ("vague measure", "Q-001"),
    }
    assert guardrails.verdict(guardrails.assess(found, "", [])) == "needs a person's attention first"


def test_a_finding_with_its_question_counts_as_answered() -> None:
    found = requirements_of("Delete drafts.")
    question = guardrails.question("destructive or binding action", "R-001")
    assert guardrails.verdict(guardrails.assess(found, "", [question])) == "passes, with open questions"


async def test_the_graph_is_deterministic_and_answers_what_it_finds() -> None:
    async def run() -> dict[str, str]:
        graph = build_graph(RuleAuthor(), InMemorySaver())
        asked = Request(
            instructions="Delete old mails. Greet users.",
            background="",
            file_path="notes/a.md",
            selection="line",
            acceptance=[],
            files={"/notes/a.md": "# A\n", "/data.json": "{}"},
            max_tokens=10,
        )
        values = await graph.ainvoke({"request": asked}, {"configurable": {"thread_id": "t"}})
        return texts(values["files"])

    first = await run()
    assert first == await run()
    assert "Ask a person before anything that cannot be undone." in first["/THE_SPEC/constitution.md"]
    assert "R-001 cannot be undone: who confirms it, and how?" in first["/THE_SPEC/requirements.md"]
    assert "passes, with open questions" in first["/guardrail_assessment.md"]
    assert first["/notes/a.md"].startswith("# A\n\n## Requested change\n\n> Delete old mails.")
    assert "no model" not in first["/notes/a.md"]
    assert first["/data.json"] == "{}"
    assert "- Unchanged: `/data.json`" in first["/impact_assessment.md"]
