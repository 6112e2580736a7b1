"""One passage through the graph, from the newest checkpoint as far as it goes, told to a feed."""

from typing import cast

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError

from engine import frames
from engine.checkpoints import STORE_FAULTS, Failure
from engine.errors import EngineError, StoreAwayError
from engine.feed import Feed
from engine.graph import RECURSION_LIMIT, Graph
from engine.state import File, SpecState

log = structlog.get_logger()


def config_of(thread_id: str) -> RunnableConfig:
    """How LangGraph names a thread."""
    return RunnableConfig(configurable={"thread_id": thread_id}, recursion_limit=RECURSION_LIMIT)


async def advance(graph: Graph, thread_id: str, feed: Feed) -> Failure | None:
    """Run to the end; returns what went wrong, if something did. Raises what means that the database is away."""
    try:
        await _advance(graph, thread_id, feed)
    except (StoreAwayError, *STORE_FAULTS):
        raise
    except EngineError as error:
        return Failure(code=error.code, message=error.detail, retryable=error.retryable)
    except GraphRecursionError:
        return Failure(code="too_many_steps", message="The run took more steps than are allowed.", retryable=False)
    except Exception as error:
        # Whatever a node raises is this thread's end and nobody else's; its text may hold the request.
        log.exception("node_failed", thread_id=thread_id, error=type(error).__name__)
        return Failure(code="engine_error", message="The engine failed unexpectedly.", retryable=True)
    return None


async def _advance(graph: Graph, thread_id: str, feed: Feed) -> None:
    told: dict[str, File] = {}
    node = "resume"
    async for part in graph.astream(
        None,
        config_of(thread_id),
        stream_mode=["updates", "values", "custom"],
        durability="sync",
    ):
        mode, chunk = cast("tuple[str, dict[str, object]]", part)
        if mode == "custom":
            feed.publish(frames.llm_stream(str(chunk["path"]), str(chunk["text"])))
        elif mode == "updates":
            node = next(iter(chunk), node)
        else:
            values = cast("SpecState", chunk)
            files = values.get("files", {})
            feed.publish(frames.state_update(_said(node, values), node, files if files != told else None))
            told = files


def _said(node: str, values: SpecState) -> str:
    """One line for people."""
    pending = len(values.get("pending", ()))
    return f"{node}: {pending} files to go" if pending else node
