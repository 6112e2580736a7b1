"""The nodes of the graph: understand, plan, draft (a file at a time), assess, revise, finalise."""

import asyncio
from collections.abc import Callable

from langgraph.config import get_stream_writer

from engine.author import Author, Page
from engine.state import Brief, File, Result, SpecState, text_of, texts, written
from engine.writing import cast, constitution, definition, guardrails, impact, plan, request, requirements, statements
from engine.writing.text import title_of

_MAX_QUESTIONS = 5
_ROUNDS = 1


class Nodes:
    """Each node is a function from the state to the channels that it replaces.

    What rules work out runs in a thread: a large draft must not hold up sockets and health (requirements 001.5, 3).
    """

    def __init__(self, author: Author) -> None:
        self._author = author

    async def understand(self, state: SpecState) -> SpecState:
        """Read the request against the draft."""
        return await asyncio.to_thread(self._understood, state)

    def _understood(self, state: SpecState) -> SpecState:
        asked = state["request"]
        base = asked["files"]
        old = base.get(requirements.PATH, "")
        gone = requirements.withdrawn(old)
        after, changes = statements.apply(asked["instructions"], requirements.read(old), gone, asked["acceptance"])
        brief = Brief(
            title=_title(asked),
            requirements=after,
            changes=changes,
            questions=_still_open([*requirements.questions(old), *changes["questions"]], changes["removed"]),
            withdrawn=[*gone, *changes["removed"]],
            principles=[],
            serving=cast.chosen(after, list(base)),
        )
        files = {path: written(text, None) for path, text in base.items()}
        files[request.PATH] = self._signed(request.write(asked), files.get(request.PATH))
        return {"brief": brief, "files": files, "rounds": 0, "tokens": 0}

    async def plan(self, state: SpecState) -> SpecState:
        """Choose the files to write."""
        brief, files = state["brief"], state["files"]
        agents = [cast.path_of(name) for name in brief["serving"] if _is_ours(name, files)]
        pending = [requirements.PATH, constitution.PATH, plan.PATH, cast.path_of(cast.LEAD), *agents]
        about = _rooted(state["request"]["file_path"])
        if about in files and about.endswith(".md") and about not in pending and about not in _OWN:
            pending.append(about)
        pending.append(definition.PATH)
        kept = [path for path in sorted(files) if path not in pending and path not in _OWN]
        text = request.write_plan(brief["title"], pending, kept, brief["questions"])
        plan_file = self._signed(text, files.get(request.PLAN_PATH))
        return {"pending": pending, "files": {**files, request.PLAN_PATH: plan_file}}

    async def draft(self, state: SpecState) -> SpecState:
        """Write the next file."""
        path, *rest = state["pending"]
        files, spent = state["files"], state["tokens"]
        outline = await asyncio.to_thread(_outline, path, state, self._author.name)
        if path == definition.PATH:
            return {"pending": rest, "files": {**files, path: written(outline + "\n", files.get(path))}}
        page = Page(
            path=path,
            outline=outline,
            present=state["request"]["files"].get(path, ""),
            instructions=state["request"]["instructions"],
            must_hold=_must_hold(path, state["brief"]),
        )
        tell = get_stream_writer()
        text, tokens = await self._author.write(
            page, state["request"]["max_tokens"] - spent, lambda piece: tell({"path": path, "text": piece})
        )
        is_ours = path.startswith(_FOLDERS)  # nobody's own file gets our line below it
        new = self._signed(text, files.get(path)) if is_ours else written(f"{text}\n", files.get(path))
        return {"pending": rest, "files": {**files, path: new}, "tokens": spent + tokens}

    async def assess(self, state: SpecState) -> SpecState:
        """Look for what a person should see, and say what changes against the draft."""
        return await asyncio.to_thread(self._assessed, state)

    def _assessed(self, state: SpecState) -> SpecState:
        brief, files, asked = state["brief"], state["files"], state["request"]
        findings = guardrails.assess(brief["requirements"], asked["instructions"], brief["questions"])
        faults = definition.faults(text_of(files[definition.PATH]))
        files = files | {guardrails.PATH: self._signed(guardrails.write(findings, faults), files.get(guardrails.PATH))}
        text = impact.write(asked["files"], texts(files), brief["requirements"], brief["changes"])
        return {"findings": findings, "files": files | {impact.PATH: self._signed(text, files.get(impact.PATH))}}

    async def revise(self, state: SpecState) -> SpecState:
        """Answer findings: each becomes a principle, an open question, or both; the files that hold them are next."""
        brief = state["brief"]
        order = ("high", "medium", "low")
        unanswered = sorted((f for f in state["findings"] if not f["answer"]), key=lambda f: order.index(f["severity"]))
        taken = unanswered[:_MAX_QUESTIONS]
        asked = [guardrails.question(finding["check"], finding["where"]) for finding in taken]
        rules = [rule for finding in taken if (rule := guardrails.principle(finding["check"]))]
        revised = brief | Brief(questions=[*brief["questions"], *asked], principles=[*brief["principles"], *rules])  # type: ignore[typeddict-item]  # the other keys are the brief's
        pending = [requirements.PATH, constitution.PATH, plan.PATH, cast.path_of(cast.LEAD)]
        return {"brief": revised, "pending": pending, "rounds": state["rounds"] + 1}

    async def finalise(self, state: SpecState) -> SpecState:
        """Say how it went; only from here on is a thread completed."""
        changes = state["brief"]["changes"]
        told = ", ".join(
            f"{len(changes[name])} {word}"  # type: ignore[literal-required]  # the keys of Changes
            for name, word in (("added", "added"), ("changed", "changed"), ("removed", "removed"))
            if changes[name]  # type: ignore[literal-required]  # as above
        )
        verdict = guardrails.verdict(state["findings"])
        summary = f"{state['brief']['title']}: requirements {told or 'untouched'}; guardrails: {verdict}."
        return {"result": Result(summary=summary, author=self._author.name, verdict=verdict, tokens=state["tokens"])}

    def _signed(self, text: str, before: File | None) -> File:
        """The file with a line below that says who wrote it."""
        bare = text.rpartition("\n---\n")[0] if text.rstrip().endswith("*") and "\n---\n" in text else text
        return written(f"{bare.rstrip()}\n\n---\n\n*{self._author.note}*\n", before)


def after_draft(state: SpecState) -> str:
    """Where to go from a drafted file: the next one, or the assessment."""
    return "draft" if state["pending"] else "assess"


def after_assess(state: SpecState) -> str:
    """Revise once, if there is something to answer."""
    unanswered = any(not finding["answer"] for finding in state["findings"])
    return "revise" if unanswered and state["rounds"] < _ROUNDS else "finalise"


_FOLDERS = ("/THE_SPEC/", cast.FOLDER)
_OWN = (request.PATH, request.PLAN_PATH, guardrails.PATH, impact.PATH)


def _title(asked: request.Request) -> str:
    """The title that the draft has, else the request's first words."""
    name = definition.read(asked["files"].get(definition.PATH, "")).get("title")
    heading = asked["files"].get(requirements.PATH, "").partition("\n")[0].removeprefix("# Requirements: ").strip()
    return str(name) if isinstance(name, str) else heading or title_of(asked["instructions"])


def _still_open(questions: list[str], removed: list[str]) -> list[str]:
    """Each question once, without those on requirements that are gone."""
    gone = tuple(f"{name.partition(':')[0]} " for name in removed)
    return [question for question in dict.fromkeys(questions) if not (gone and question.startswith(gone))]


def _is_ours(name: str, files: dict[str, File]) -> bool:
    """An agent that only the draft knows is left alone."""
    return bool(cast.role_of(name).calls) or name == "TaskAgent" or cast.path_of(name) not in files


def _rooted(path: str) -> str:
    return "/" + path.lstrip("/") if path else ""


def _outline(path: str, state: SpecState, author: str) -> str:
    """What rules make of one file."""
    brief, asked = state["brief"], state["request"]
    present = asked["files"].get(path, "")
    title, items, serving = brief["title"], brief["requirements"], brief["serving"]
    rules = constitution.principles(
        constitution.read(asked["files"].get(constitution.PATH, "")), items, brief["principles"]
    )
    writers: dict[str, Callable[[], str]] = {
        requirements.PATH: lambda: requirements.write(title, items, brief["questions"], brief["withdrawn"]),
        constitution.PATH: lambda: constitution.write(title, rules),
        plan.PATH: lambda: plan.write(title, items, serving, brief["questions"]),
        cast.path_of(cast.LEAD): lambda: cast.write_lead(title, serving, brief["questions"]),
        definition.PATH: lambda: definition.write(title, serving, definition.read(present), author),
    }
    if path in writers:
        return writers[path]()
    name = cast.name_of(path)
    if name is not None and name in serving:
        return cast.write(name, serving[name], items, rules, present)
    return request.note_change(present, asked)


def _must_hold(path: str, brief: Brief) -> tuple[str, ...]:
    """What a model's version of a file must not leave out."""
    if path != requirements.PATH:
        return ()
    return tuple(f"**{item['id']}** {item['text']}" for item in brief["requirements"])
