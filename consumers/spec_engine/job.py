"""The job that the engine is given for a refinement: JobExecutionEvent (requirements 001.2)."""

from pydantic import JsonValue

from events.base import JsonObject
from events.texts import with_texts
from storage.lookup import TaskView
from storage.specifications import BaseFiles

_MAX = 100_000


def job_for(task: TaskView, base: BaseFiles | None, trace: str | None = None) -> JsonObject:
    """The redacted request and the draft it is for; the thread is named by the task, over all attempts.

    `trace` is the request's trace id (W3C), by which the engine's log lines are found.

    Whatever else an engine of this contract reads is there too: messages, and the request in the definition.
    """
    spec = with_texts(task.spec, task.redacted)
    data = spec.context.data or {}
    context: JsonObject = {
        "text": spec.context.text,
        "file_path": _text(data.get("context_file_path")),
        "selection": _text(data.get("context_selection")),
    }
    return {
        "trace_id": trace or task.id.hex,
        "job_id": str(task.id),
        "agent_definition": _definition(spec.prompt),
        "input_payload": {
            "instructions": spec.prompt,
            "messages": [{"role": "user", "content": spec.prompt}],
            "context": {name: value for name, value in context.items() if value},
            "acceptance_criteria": [*spec.acceptance_criteria],
            "constraints": spec.constraints,
            "files": {f"/{path}": text for path, text in (base.files if base else {}).items()},
            "budget": {"max_tokens": spec.budget.max_tokens},
        },
    }


def _definition(prompt: str) -> JsonObject:
    """The smallest definition that a runtime takes: one orchestrator."""
    node: JsonObject = {
        "id": "orchestrator",
        "type": "orchestrator",
        "config": {
            "name": "spec-engine",
            "system_prompt": "Write or refine the specification files that the user asks for.",
            "tools": [],
            "model": {"provider": "openai", "model": "default"},
        },
    }
    return {
        "name": "spec-engine",
        "version": "1.0.0",
        "user_request": prompt,
        "tool_definitions": [],
        "nodes": [node],
        "edges": [],
    }


def _text(value: JsonValue) -> str | None:
    return value[:_MAX] if isinstance(value, str) else None
