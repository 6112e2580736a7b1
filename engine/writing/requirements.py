"""THE_SPEC/requirements.md: reading the requirements that a draft has, and writing them anew."""

import re

from engine.writing.statements import Kind, Requirement

PATH = "/THE_SPEC/requirements.md"

_ITEM = re.compile(r"^[-*]\s+\*\*(?P<id>[RQC]-\d{3,})\*\*\s+(?P<text>.+)$")
_ACCEPTED = re.compile(r"^\s+[-*]\s+Accepted when:\s+(?P<text>.+)$")
_LISTED = re.compile(r"^[-*]\s+(?P<text>.+)$")
_KINDS: dict[str, Kind] = {"R": "requirement", "Q": "quality", "C": "constraint"}
_SECTIONS: tuple[tuple[Kind, str], ...] = (
    ("requirement", "What it does"),
    ("quality", "How well it does it"),
    ("constraint", "What it must not do"),
)
QUESTIONS = "## Open questions"
WITHDRAWN = "## Withdrawn"


def read(text: str) -> list[Requirement]:
    """The requirements of a file that was written by `write`, or by hand in its form."""
    found: list[Requirement] = []
    for line in text.splitlines():
        if item := _ITEM.match(line):
            kind = _KINDS[item["id"][0]]
            found.append(Requirement(id=item["id"], kind=kind, text=item["text"].strip(), acceptance=""))
        elif found and (accepted := _ACCEPTED.match(line)):
            found[-1]["acceptance"] = accepted["text"].strip()
    return found


def questions(text: str) -> list[str]:
    """The open questions of such a file."""
    return _listed(text, QUESTIONS)


def withdrawn(text: str) -> list[str]:
    """What such a file says was withdrawn (`R-003: …`), so that no id is given twice."""
    return _listed(text, WITHDRAWN)


def _listed(text: str, heading: str) -> list[str]:
    below = text.partition(heading)[2].partition("\n## ")[0]
    return [item["text"].strip() for line in below.splitlines() if (item := _LISTED.match(line))]


def write(title: str, requirements: list[Requirement], open_questions: list[str], gone: list[str]) -> str:
    """The whole file."""
    parts = [f"# Requirements: {title}", "", "Each has an id that stays the same when the specification is refined."]
    for kind, heading in _SECTIONS:
        items = [requirement for requirement in requirements if requirement["kind"] == kind]
        if items:
            parts += ["", f"## {heading}", ""]
        for requirement in items:
            parts.append(f"- **{requirement['id']}** {requirement['text']}")
            if requirement["acceptance"]:
                parts.append(f"  - Accepted when: {requirement['acceptance']}")
    for heading, lines in ((QUESTIONS, open_questions), (WITHDRAWN, gone)):
        if lines:
            parts += ["", heading, "", *(f"- {line}" for line in lines)]
    return "\n".join(parts)


def missing(text: str, requirements: list[Requirement]) -> list[str]:
    """The ids that a text which should hold these requirements does not hold."""
    held = {requirement["id"] for requirement in read(text)}
    return [requirement["id"] for requirement in requirements if requirement["id"] not in held]
