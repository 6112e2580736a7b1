"""THE_SPEC/plan.md: the steps from the requirements to a result, each with its agent and its check."""

from engine.writing.cast import LEAD
from engine.writing.statements import Requirement

PATH = "/THE_SPEC/plan.md"


def write(title: str, requirements: list[Requirement], serving: dict[str, list[str]], questions: list[str]) -> str:
    """The whole file."""
    steps = [item for item in requirements if item["kind"] == "requirement"]
    rest = [item for item in requirements if item["kind"] != "requirement"]
    lines = [f"# Plan: {title}", "", "## 1. Prepare", ""]
    lines += [f"- [ ] Settle: {question}" for question in questions] or [
        "- [ ] Read the constitution; nothing is open."
    ]
    lines += ["", "## 2. Do", "", "| Step | Agent | Requirement | Done when |", "|---|---|---|---|"]
    for number, item in enumerate(steps, start=1):
        lines.append(
            f"| 2.{number} {_cell(item['text'])} | {_agents(item, serving)} | {item['id']}"
            f" | {_cell(item['acceptance'])} |"
        )
    if not steps:
        lines.append(f"| 2.1 Nothing is asked to be done yet. | {LEAD} | | |")
    lines += ["", "## 3. Check", ""]
    lines += [f"- [ ] **{item['id']}** {item['text']} {item['acceptance']}" for item in rest]
    lines += [
        "- [ ] Every requirement is traced to a result, or named as not done.",
        "- [ ] No principle of the constitution was broken on the way.",
    ]
    return "\n".join(lines)


def _agents(item: Requirement, serving: dict[str, list[str]]) -> str:
    return ", ".join(name for name, ids in serving.items() if item["id"] in ids) or LEAD


def _cell(text: str) -> str:
    """A text that cannot break out of a table's cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
