"""Whom an order to heed nothing is for: the reader, or somebody of whom the text only tells.

Who wants to be obeyed must not gain by it. So nothing is excused where the order is the well-known one ("the previous
instructions", "your guidelines"), or where the reader, or a machine, is spoken of beside it.
"""

from __future__ import annotations

from screening.matching.pattern import Pattern, Patterns

Signs = frozenset[str]

_AROUND = 240
_PEOPLE = (
    r"(?:players?|users|people|persons?|customers?|families|parents?|mothers?|fathers?|children|child|kids|students?"
    r"|pupils?|teachers?|members?|guests?|visitors?|employees?|workers?|staff|soldiers?|officers?|drivers?|pilots?"
    r"|patients?|doctors?|nurses?|clients?|tenants?|owners?|residents?|citizens?|administrators|programmers?|engineers?"
    r"|attackers?|hackers?|criminals?|scammers?|spammers?|voters?|judges?|courts?|house|board|committee|council|assembly"
    r"|parliament|senate|government|king|queen|crew|sailors?|villagers?|dogs?|cats?|someone|somebody)"
)
_MAY = (
    r"(?:(?:may|can|could|might|must|should|shall|will|would|do|did|often|sometimes|always|usually|also|then|simply|just"
    r"|still|only|who|that|(?:are|is|was|were) (?:able|allowed|free|told|asked) to|(?:have|has|had|needs?) to"
    r"|(?:want|wish|try|hope|like|choose|tend)(?:s|es|ed|ing)? to|tries to|tried to)\s+)"
)
_CLAUSE = r"[^.!?;:()\[\]\"“”]{1,120}"
_MACHINE = (
    r"assistants?|a\.?i\.?s?|llms?|models?|(?:chat)?bots?|(?:chat)?gpt\w*|claude|gemini|copilots?|agents?|machines?"
    r"|robots?|computers?|readers?|\w*(?:summari[sz]|translat|classif|screen|process|pars|crawl|scrap|answer)\w*(?:e|o)rs?"
    r"|whoever|everyone|everybody|anyone|anybody"
)

_READER = rf"(?i)\b(?:you|yourself|u|{_MACHINE})\b"
_MACHINES = rf"(?i)\b(?:{_MACHINE})\b"
_MONTHS = r"january|february|march|april|may|june|july|august|september|october|november|december"
_DAYS = r"monday|tuesday|wednesday|thursday|friday|saturday|sunday"

_ORDER = Patterns(
    {
        "dropping": (
            r"(?i)^(?:ignor|disregard|forget|overrid|overlook|neglect|bypass|discard|dismiss|set aside|put aside|erase"
            r"|wipe|drop|abandon|throw|remove|cancel|skip|delete|suspend|leave out|stop (?:follow|obey)"
            r"|(?:no longer|never) (?:follow|obey))"
        ),
        "well known": (
            r"(?i)\b(?:previous(?:ly)?|prior|preceding|above|earlier|foregoing|original|initial|hidden|developer(?:'s)?"
            r"|safety|ethical|openai(?:'s)?)\b"
        ),
        "yours": r"(?i)\byour\b",
        "of a prompt": r"(?i)\b(?:prompts?|instructions?|messages?|directives?|guidelines?|rules?)\b",
        "setting": (
            r"(?i)^(?:overrid|remov|delet|drop|skip|cancel|discard|bypass|suspend|eras|wip)\w*\s[^.!?]*"
            r"\b(?:default|built-in|existing|old|system|internal|current|provided|standing|any)\b"
        ),
        "default": (
            r"(?i)^(?:overrid|remov|delet|drop|skip|cancel|discard)\w*\s.*\b(?:default|built-in|existing|old)\b"
        ),
        "described": r"(?i)^(?:overrides|ignores|disregards|forgets)\s",
        "singular": r"(?i)\b(?:command|policy|filter|protocol|order)$",
        "before": r"(?i)\bbefore$",
    }
)
_BEFORE = Patterns(
    {
        "people do": (
            rf"(?i)(?:\b{_PEOPLE}\s+{_MAY}{{1,3}}(?:{_CLAUSE}\b(?:and|or|then)\s+)?"
            rf"|^\W*(?:(?:the|some|many|most|our|my|their|young|old)\s+){{0,2}}{_PEOPLE}\s+)$"
        ),
        "told them": (
            r"(?i)\b(?:tells|told|asks|asked|orders|ordered|instructs|instructed|advises|advised|made|lets)\s+"
            rf"(?:him|her|them|(?:(?:the|his|her|its|their|our|my)\s+)?{_PEOPLE})\s+(?:to\s+)?$"
        ),
        "if they": (
            r"(?i)\b(?:if|when|whenever|unless|once|because|although|though|while|until)\s+"
            rf"(?:they|he|she|(?:(?:the|a|an|some|our|my|their)\s+)?{_PEOPLE})\s+{_MAY}{{0,2}}$"
        ),
        "if you": (
            r"(?i)\b(?:if|when|whenever|unless|once|before|after|until|while|in case)\s+(?:you|we|one)\s+"
            rf"{_MAY}{{0,2}}$"
        ),
        "made to": (
            rf"(?i)\b(?:{_PEOPLE}|one)\s+{_MAY}{{0,3}}(?:gets?|got|makes?|made|tricks?|tricked|coax(?:ed)?|persuaded?"
            r"|talk(?:ed)?|forced?|manipulated?|caused?|convinced?)\s+(?:an?|the|any|some|our|most)\s+(?:\w+\s+)?"
            rf"(?:{_MACHINE})\s+(?:(?:to|into)\s+)?$"
        ),
        "in order to": r"(?i)\b(?:to|for|by|of|when|while|before|after)\s+$",
        "bidden": (
            r"(?i)(?:\bi\b|\bmust\b|\bplease\b|\b(?:is|are|be|have|has|need|able|ready|supposed|going|free|time|wants?|sure"
            r"|try|remember|now)\s+to\s+$)"
        ),
        "listed": r"(?i)(?:^\s*(?:[*+•;-]|//|\d+[.)])\s+(?:[^\s:]{1,60}:\s+)?|\):\s+|[/.]\w{1,40}:\s+)$",
        "reader": _READER,
        "machine": _MACHINES,
    }
)
_AFTER = Patterns(
    {
        "reader": _READER,
        "machine": _MACHINES,
        "part of": r"(?i)^[\s-]+(?:lines?|director(?:y|ies)|files?|paths?|names?|numbers?)\b",
        "time": (
            r"(?i)^\s+(?:\d{1,2}[:.]\d\d|\d{4}|noon|midnight"
            rf"|(?:\d{{1,2}}(?:st|nd|rd|th)? )?(?:{_MONTHS}|{_DAYS}))\b"
        ),
        "topic": (
            r"(?i)^\s+(?:about|on|regarding|concerning|related to)\s+"
            r"(?:(?:the|an?|his|her|its|their|setting up|using|making|doing)\s+)?[a-z]{3}"
        ),
        "prompt": (
            r"(?i)\b(?:instruct|rules?\b|prompt|guid|polic|ethic|moral|safe|secur|priva|secre|confiden|restrict|limit|filter"
            r"|refus|declin|harm|danger|illegal|legal|law|content|open ?ai|you|being|languag|anything|everything"
            r"|whatever|all\b|such\b|this\b|that\b|these\b|those\b|it\b|above|before|earlier|previous|topic|subject|censor|behav"
            r"|respon|answer|task|role|system|develop|format|output|conduct|societ|compan|creat|maker|owner|user|human|decen|any\b|my\b)"
        ),
    }
)
_YOU_TOO = Pattern(
    r"(?i)\b(?:you(?:'re| are)(?: all| also)? (?:an?|the|one|such|that|this|these|those|among|players?|users?|now)"
    r"|you,? too|(?:that|this|which)(?:'s| is| means| includes| goes for) you|(?:means|meaning|including|like) you)\b"
)
_BROKEN = Pattern(r"[a-z,][ \t]*\r?\n[ \t]*$")


def for_others(text: bytes, span: tuple[int, int], within: tuple[int, int]) -> bool:
    """Whether the order at `span`, in the sentence `within`, is for others than the reader, or for nobody."""
    start, end = span
    order = _ORDER.found(text[start:end])
    if not order:
        return False
    before, after = _BEFORE.found(_said_before(text, within[0], start)), _AFTER.found(text[end : within[1]])
    if before is None or after is None:
        return False
    if "made to" in before and "of a prompt" in order:
        return "yours" not in order
    if "dropping" not in order or "well known" in order:
        return False
    around = text[max(0, start - _AROUND) : end + _AROUND]
    return _is_told(order, before, after) and ("if you" in before or not _YOU_TOO.found(around))


def _is_told(order: Signs, before: Signs, after: Signs) -> bool:
    """Whether what is dropped is no prompt, or who drops it is neither the reader nor a machine."""
    if "yours" not in order and _is_of_something_else(order, after):
        return "machine" not in before | after
    if "if you" in before:
        return "setting" in order and "yours" not in order and "machine" not in before | after
    if "reader" in before | after:
        return False
    return "if they" in before or ("yours" not in order and _is_told_of(order, before))


def _said_before(text: bytes, first: int, start: int) -> bytes:
    """What stands before the order in its sentence; where a line was only broken there, from the line before on."""
    before = text[first:start]
    if before.strip() or not _BROKEN.found(text[max(0, start - _AROUND) : start]):
        return before
    line = text.rfind(b"\n", max(0, start - _AROUND), text.rfind(b"\n", 0, start)) + 1
    return text[max(line, start - _AROUND) : start].replace(b"\n", b" ")


def _is_of_something_else(order: Signs, after: Signs) -> bool:
    """Whether it is no order at all (a command line), or what is of a topic, or before a time, is to be ignored."""
    if "topic" in after:
        return "prompt" not in after
    return ("singular" in order and "part of" in after) or (
        "before" in order and "time" in after and "reader" not in after
    )


def _is_told_of(order: Signs, before: Signs) -> bool:
    """Whether people are told of who heed nothing, or what a program does, can do, or has come to do."""
    if "people do" in before or "told them" in before:
        return True
    if "default" in order and ("listed" in before or "described" in order):
        return True
    return "setting" in order and "in order to" in before and "bidden" not in before
