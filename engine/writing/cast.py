"""Who does the work: agents found by what the requirements ask for, one file of THE_CAST each."""

import re
from typing import NamedTuple

from engine.writing.statements import Requirement
from engine.writing.text import with_section, words_of

FOLDER = "/THE_CAST/"
LEAD = "OrchestratorAgent"
_NAME = re.compile(r"^/THE_CAST/(?P<name>[A-Za-z][A-Za-z0-9_]*)\.md$")


class Role(NamedTuple):
    """A kind of agent: what it is for, the words that call for it, the tools it may use."""

    name: str
    purpose: str
    calls: str
    tools: tuple[str, ...]


_ROLES = (
    Role("ResearchAgent", "finds and reads what is needed", "search find fetch collect crawl lookup read gather source "
         "discover monitor watch", ("web_search", "read_file")),
    Role("AnalysisAgent", "compares, measures and judges", "analyse analyze compare classify score detect measure "
         "calculate estimate evaluate rank filter group", ("calculator",)),
    Role("WritingAgent", "puts results into words", "write draft summarise summarize translate generate compose "
         "document describe explain report text summary", ("write_file",)),
    Role("CommunicationAgent", "talks to people", "greet send notify email mail reply answer message chat inform alert "
         "ask conversation user slack", ("send_message",)),
    Role("DataAgent", "keeps and moves data", "store save import export sync database csv table record file upload "
         "download archive backup log", ("read_file", "write_file")),
    Role("ScheduleAgent", "sees to it that things happen in time", "schedule remind reminder calendar daily weekly "
         "monthly deadline timer cron morning evening", ("clock",)),
    Role("ReviewAgent", "checks before anything leaves", "review check approve validate verify test audit confirm "
         "inspect approval", ("read_file",)),
    Role("IntegrationAgent", "speaks to other systems", "api webhook deploy connect integrate integration service "
         "endpoint call github jira payment", ("http_request",)),
)  # fmt: skip
_DEFAULT = Role("TaskAgent", "does what the requirements ask for", "", ("read_file", "write_file"))
_BY_NAME = {role.name: role for role in (*_ROLES, _DEFAULT)}
_CALLS = {role.name: words_of(role.calls) for role in _ROLES}


def chosen(requirements: list[Requirement], present: list[str]) -> dict[str, list[str]]:
    """Which agents there are, each with the ids of the requirements that it serves.

    `present` are the draft's paths: an agent that the draft has stays, whatever it serves.
    """
    serving: dict[str, list[str]] = {name: [] for path in present if (name := name_of(path)) and name != LEAD}
    for requirement in requirements:
        for name in _callers(requirement) or ([] if requirement["kind"] != "requirement" else [_DEFAULT.name]):
            serving.setdefault(name, []).append(requirement["id"])
    return dict(sorted(serving.items())) or {_DEFAULT.name: []}


def _callers(requirement: Requirement) -> list[str]:
    """At most the two roles whose words the requirement uses most."""
    words = words_of(requirement["text"])
    hits = {name: len(calls & words) for name, calls in _CALLS.items()}
    return sorted((name for name, count in hits.items() if count), key=lambda name: (-hits[name], name))[:2]


def name_of(path: str) -> str | None:
    """The agent that a path describes, if it describes one."""
    found = _NAME.match(path)
    return found["name"] if found else None


def path_of(name: str) -> str:
    """Where an agent is described."""
    return f"{FOLDER}{name}.md"


def role_of(name: str) -> Role:
    """What is known of an agent; one that the draft brought along is a role of its own."""
    return _BY_NAME.get(name, Role(name, "is described in the draft", "", ()))


def write(name: str, serves: list[str], requirements: list[Requirement], limits: list[str], present: str) -> str:
    """The file of one specialist; of one that the draft has, only whom it serves is written anew."""
    role = role_of(name)
    tasks = [f"- **{item['id']}** {item['text']}" for item in requirements if item["id"] in serves]
    tasks = tasks or ["- Nothing by name yet; the orchestrator may call on it."]
    if present:
        return with_section(present, "Serves", tasks)
    return "\n".join(
        [
            f"# {name}",
            "",
            f"**Purpose:** {role.purpose}.",
            "",
            "## Serves",
            "",
            *tasks,
            "",
            "## Works like this",
            "",
            "1. Takes one step from the orchestrator, with the ids of the requirements it is for.",
            "2. Does that step and nothing beyond it; says so when something is missing.",
            "3. Hands back the result, what it is based on, and how each requirement was checked.",
            "",
            "## Tools",
            "",
            *([f"- `{tool}`" for tool in role.tools] or ["- None."]),
            "",
            "## Limits",
            "",
            *(f"- {limit}" for limit in limits),
        ]
    )


def write_lead(title: str, serving: dict[str, list[str]], questions: list[str]) -> str:
    """The file of the agent that leads the others."""
    return "\n".join(
        [
            f"# {LEAD}",
            "",
            f"**Purpose:** leads the work on: {title}.",
            "",
            "## Whom it calls",
            "",
            *(
                f"- [{name}]({name}.md): {role_of(name).purpose}; {', '.join(ids) or 'no requirement by name'}"
                for name, ids in serving.items()
            ),
            "",
            "## Works like this",
            "",
            "1. Reads the constitution; refuses what it forbids and says why.",
            "2. Takes the plan's steps in order; gives each to the agent named there.",
            "3. Checks every result against its requirement before it goes on; asks once more, then reports the gap.",
            "4. Ends with what was done, what was not, and what is still open.",
            "",
            "## Asks first",
            "",
            *([f"- {question}" for question in questions] or ["- Nothing is open."]),
        ]
    )
