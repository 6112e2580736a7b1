"""/guardrail_assessment.md: what a person should look at before agents act on this specification."""

import re
from typing import Literal, NamedTuple, TypedDict

from engine.writing.statements import Requirement

PATH = "/guardrail_assessment.md"

Severity = Literal["high", "medium", "low"]


class Finding(TypedDict):
    """One thing to look at: which check, where, how grave, and what was done about it (empty while nothing was)."""

    check: str
    where: str
    severity: Severity
    answer: str


class _Check(NamedTuple):
    name: str
    severity: Severity
    pattern: re.Pattern[str]
    principle: str
    question: str


def _words(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})\b", re.IGNORECASE)


_CHECKS = (
    _Check(
        "secret in the request",
        "high",
        re.compile(
            r"(?:password|passwd|secret|token|api[_ -]?key)\s*[:=]\s*\S{4,}|\b(?:sk|ghp|AKIA)[-_A-Za-z0-9]{12,}",
            re.IGNORECASE,
        ),
        "Refer to secrets by the name of their place, never by their value.",
        "holds what looks like a secret: which place is it to be read from?",
    ),
    _Check(
        "destructive or binding action",
        "high",
        _words(
            r"delet\w+|drop|eras\w+|wip\w+|overwrit\w+|terminat\w+|pay|transfer|purchas\w+|buy|sign|publish|deploy\w*"
        ),
        "Ask a person before anything that cannot be undone.",
        "cannot be undone: who confirms it, and how?",
    ),
    _Check(
        "personal data",
        "medium",
        _words(
            r"e-?mail address\w*|phone|birth\w*|address\w*|passport|health|medical|salary|customer data|personal data"
        ),
        "Use no more personal data than a step needs, and keep it no longer.",
        "touches personal data: which of it is needed, and for how long?",
    ),
    _Check(
        "vague measure",
        "low",
        _words(r"fast|quick\w*|soon|user-friendly|intuitive|easy|easily|robust|appropriate\w*|as needed|etc|many"),
        "",
        "is not measurable as it stands: which figure or example would show it?",
    ),
    _Check(
        "unbounded scope",
        "low",
        _words(r"all|every|everything|any|always|forever|unlimited"),
        "",
        "has no bound: how many, how often, or how long at most?",
    ),
)


def assess(requirements: list[Requirement], request: str, questions: list[str]) -> list[Finding]:
    """The findings in the requirements, and in the request what no requirement took over; answered ones say how."""
    findings = []
    for check in _CHECKS:
        places = [item["id"] for item in requirements if check.pattern.search(item["text"])]
        if not places and check.severity == "high" and check.pattern.search(request):
            places = ["the request"]
        for place in places:
            asked = question(check.name, place)
            findings.append(
                Finding(
                    check=check.name,
                    where=place,
                    severity=check.severity,
                    answer="asked as an open question" if asked in questions else "",
                )
            )
    return findings


def question(check: str, where: str) -> str:
    """The open question that answers a finding."""
    return f"{where} {next(one.question for one in _CHECKS if one.name == check)}"


def principle(check: str) -> str:
    """The principle that a finding adds to the constitution; empty when it adds none."""
    return next(one.principle for one in _CHECKS if one.name == check)


def verdict(findings: list[Finding]) -> str:
    """The assessment in one line."""
    open_ones = [finding for finding in findings if not finding["answer"]]
    if any(finding["severity"] == "high" for finding in open_ones):
        return "needs a person's attention first"
    return "passes, with open questions" if findings else "passes"


def write(findings: list[Finding], faults: list[str]) -> str:
    """The whole file."""
    lines = ["# Guardrail assessment", "", f"**Verdict:** {verdict(findings)}.", ""]
    if findings:
        lines += ["| Check | Where | Severity | Answer |", "|---|---|---|---|"]
        lines += [f"| {f['check']} | {f['where']} | {f['severity']} | {f['answer'] or 'none yet'} |" for f in findings]
    else:
        lines.append("Nothing was found by these checks: " + ", ".join(check.name for check in _CHECKS) + ".")
    lines += ["", "## The definition", "", *([f"- {fault}" for fault in faults] or ["- A runtime can load it."])]
    lines += [
        "",
        "These checks read words, not intentions. They do not replace the screening of the request or a reviewer.",
    ]
    return "\n".join(lines)
