"""What a statement of a request asks for: something new, a change, a removal, a limit, a quality, an answer."""

import re
from typing import Literal, TypedDict

from engine.writing.text import covered, sentence, statements_of

Kind = Literal["requirement", "quality", "constraint"]
PREFIXES: dict[Kind, str] = {"requirement": "R", "quality": "Q", "constraint": "C"}

_ID = r"(?P<id>[RQC]-\d{3,})"
_REMOVE_ID = re.compile(rf"^(?:please )?(?:remove|drop|delete|withdraw)\s+(?:requirement\s+)?{_ID}\b", re.IGNORECASE)
_CHANGE_ID = re.compile(
    r"^(?:please )?(?:change|replace|reword|rewrite)\s+(?:requirement\s+)?"
    rf"{_ID}\s+(?:to|with|by|as)[:\s]+(?P<text>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_REMOVES = frozenset({"remove", "drop", "delete", "withdraw"})
_COMMAND = re.compile(
    r"(?:(?:please )?(?P<verb>remove|drop|delete|withdraw|change|replace|reword|rewrite)\s+)?"
    rf"(?:requirement\s+)?{_ID}\b(?P<to>\s+(?:to|with|by|as)[:\s])?",
    re.IGNORECASE,
)
_AND = re.compile(r"(?:[,;]\s*|\s(?:and|then)\s+)(?:(?:and|then)\s+)*", re.IGNORECASE)
_REMOVE = re.compile(
    r"^(?:please )?(?:remove|drop|withdraw|get rid of|no longer|we no longer need)\s+(?P<text>.+)$", re.IGNORECASE
)
_CONSTRAINT = re.compile(
    r"\b(?:must not|mustn't|shall not|may not|never|cannot|can't|do not|don't|forbidden|without|at most|no more than"
    r"|only)\b",
    re.IGNORECASE,
)
_QUALITY = re.compile(
    r"\b(?:within|under|below|in less than)\s+\d|\b\d+(?:\.\d+)?\s*(?:%|percent|ms|milliseconds?|seconds?|minutes?)\b"
    r"|\bper (?:second|minute|hour|day)\b|\b(?:fast|quick(?:ly)?|secure(?:ly)?|reliab\w+|availab\w+|accessib\w+|latency"
    r"|uptime|concurrent\w*|encrypt\w+|scalab\w+|user-friendly|performan\w+)\b",
    re.IGNORECASE,
)
_SAME = 0.5
_EQUAL = 0.8


class Requirement(TypedDict):
    """One requirement with its stable id; `acceptance` says how one sees that it holds."""

    id: str
    kind: Kind
    text: str
    acceptance: str


class Changes(TypedDict):
    """What a request does to the requirements there are."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    repeated: list[str]
    questions: list[str]


def kind_of(statement: str) -> Kind:
    """A limit, a measurable quality, or something that is to be done."""
    if _CONSTRAINT.search(statement):
        return "constraint"
    return "quality" if _QUALITY.search(statement) else "requirement"


def apply(
    request: str, present: list[Requirement], withdrawn: list[str], acceptance: list[str]
) -> tuple[list[Requirement], Changes]:
    """The requirements after a request: what it removes, rewords and adds.

    An id never changes its meaning: those of `withdrawn` (`R-003: …`) and of what is removed now are not given again.
    """
    kept = list(present)
    used = {requirement["id"] for requirement in present} | {name.partition(":")[0] for name in withdrawn}
    changes = Changes(added=[], changed=[], removed=[], repeated=[], questions=[])
    for statement in (command for found in statements_of(request) for command in _commands(found)):
        if not (
            _by_id(statement, kept, changes) or _by_words(statement, kept, changes) or _question(statement, changes)
        ):
            _add(sentence(statement), kept, used, changes, acceptance)
    return sorted(kept, key=_place), changes


def _place(requirement: Requirement) -> tuple[int, int]:
    """What it does first, then how well, then what it must not; by id in each."""
    return "RQC".index(requirement["id"][0]), int(requirement["id"][2:])


def _commands(statement: str) -> list[str]:
    """`Remove R-001 and R-002, then change R-003 to …` is three commands; whatever else is said is one statement."""
    told = _COMMAND.match(statement)
    if told is None or not told["verb"]:
        return [statement]
    found, verb, unsaid, start = list[str](), told["verb"], "", 0
    for gap in _AND.finditer(statement):
        following = _COMMAND.match(statement, gap.end())
        if following is None:
            continue
        alike = told["to"] and following["to"]
        listed = verb.lower() in _REMOVES and told.end() == gap.start()
        if following["verb"] or alike or listed:
            found.append(unsaid + statement[start : gap.start()])
            unsaid = "" if following["verb"] else f"{verb} "
            told, verb, start = following, following["verb"] or verb, gap.end()
    return [*found, unsaid + statement[start:]]


def _by_id(statement: str, kept: list[Requirement], changes: Changes) -> bool:
    """`Remove R-003`, `change Q-001 to …`."""
    for pattern in (_REMOVE_ID, _CHANGE_ID):
        found = pattern.match(statement)
        if found is None:
            continue
        wanted = found["id"].upper()
        place = next((n for n, requirement in enumerate(kept) if requirement["id"] == wanted), None)
        if place is None:
            changes["questions"].append(f"{wanted} is asked to be changed, but no requirement has that id.")
        elif pattern is _REMOVE_ID:
            changes["removed"].append(_named(kept.pop(place)))
        else:
            kept[place] = {**kept[place], "text": sentence(found["text"])}
            changes["changed"].append(_named(kept[place]))
        return True
    return False


def _by_words(statement: str, kept: list[Requirement], changes: Changes) -> bool:
    """`Drop the weekly report`: only if a requirement speaks of it, else the sentence is a requirement itself."""
    found = _REMOVE.match(statement)
    if found is None or not kept:
        return False
    best = max(kept, key=lambda requirement: covered(found["text"], requirement["text"]))
    if covered(found["text"], best["text"]) < _SAME:
        return False
    kept.remove(best)
    changes["removed"].append(_named(best))
    return True


def _question(statement: str, changes: Changes) -> bool:
    if not statement.rstrip().endswith("?"):
        return False
    changes["questions"].append(sentence(statement))
    return True


def _add(text: str, kept: list[Requirement], used: set[str], changes: Changes, acceptance: list[str]) -> None:
    same = next((other for other in kept if _same(text, other["text"])), None)
    if same is not None:
        changes["repeated"].append(_named(same))
        return
    kind = kind_of(text)
    new = Requirement(id=_next_id(kind, used), kind=kind, text=text, acceptance=_acceptance(text, kind, acceptance))
    used.add(new["id"])
    kept.append(new)
    changes["added"].append(_named(new))


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold() or (covered(one, other) > _EQUAL and covered(other, one) > _EQUAL)


def _next_id(kind: Kind, used: set[str]) -> str:
    prefix = PREFIXES[kind]
    numbers = [int(text.partition("-")[2]) for text in used if text.startswith(f"{prefix}-")]
    return f"{prefix}-{max(numbers, default=0) + 1:03}"


def _acceptance(text: str, kind: Kind, wanted: list[str]) -> str:
    """The requester's own criterion when one speaks of this, else how such a statement is shown."""
    best = max(wanted, key=lambda criterion: covered(text, criterion), default="")
    if best and covered(text, best) >= _SAME / 2:
        return sentence(best)
    if kind == "constraint":
        return "No example can be found in which this is broken."
    if kind == "quality":
        return "It is measured under the expected load, and the figure is kept with the result."
    return "One example shows it, and one input that should be refused is refused."


def _named(requirement: Requirement) -> str:
    return f"{requirement['id']}: {requirement['text']}"
