"""What each compatibility socket says, as a table: for /asyncapi.json, which a test compares with the code."""

from dataclasses import dataclass

_GREETING = ("connection.established", "subscription.confirmed", "heartbeat", "error")
SESSION_WORDS = (
    *("session.created", "session.status_changed", "session.completed", "session.failed", "session.task_added"),
    *("session.checkpoint_created", "session.metrics_updated"),
)
AGENT_WORDS = (
    *("agent.registered", "agent.deregistered", "agent.heartbeat", "agent.load_changed"),
    *("agent.performance_updated", "agent.task_assigned", "agent.task_completed"),
)
TASK_WORDS = ("task.status_changed", "task.progress_updated", "task.decomposed", "task.dependency_satisfied")
SYSTEM_WORDS = ("system.health_changed", "system.alert", "system.stats")
RUN_WORDS = ("on_state_update", "on_llm_stream", "error", "end")


@dataclass(frozen=True, slots=True)
class CompatSocketWords:
    """One path and the types of its frames."""

    channel: str
    path: str
    title: str
    what: str
    words: tuple[str, ...]

    @property
    def message(self) -> str:
        """The name of its message in the document."""
        return f"{self.channel}Frame"

    def schema(self) -> dict[str, object]:
        """`{type, payload, timestamp}`, or `{event_type, data}` for a refinement."""
        kind, body = ("event_type", "data") if self.words == RUN_WORDS else ("type", "payload")
        words = self.words if self.words == RUN_WORDS else (*_GREETING, *self.words)
        stamp = {"timestamp": {"type": "string", "format": "date-time"}}
        more = {} if self.words == RUN_WORDS else stamp
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [kind, body, *more],
            "properties": {kind: {"enum": list(words)}, body: {"type": "object"}, **more},
        }


SOCKETS = (
    CompatSocketWords("sessions", "/ws/sessions", "All sessions of the caller", "session", SESSION_WORDS),
    CompatSocketWords("session", "/ws/sessions/{id}", "One session", "session", SESSION_WORDS),
    CompatSocketWords("agents", "/ws/agents", "All agents", "agent", AGENT_WORDS),
    CompatSocketWords("agent", "/ws/agents/{id}", "One agent", "agent", AGENT_WORDS),
    CompatSocketWords("task", "/ws/tasks/{id}", "One task", "task", TASK_WORDS),
    CompatSocketWords("system", "/ws/system", "Ganglion itself, for admins", "system", SYSTEM_WORDS),
    CompatSocketWords("refinement", "/api/ws/refinements/{id}", "A refinement's whole run", "thread", RUN_WORDS),
)
