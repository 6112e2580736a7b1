"""`python -m engine`: serve until SIGTERM; threads that run then are resumed by the next engine."""

import gc

if __name__ == "__main__":
    gc.disable()  # until `settle_memory`: all that is imported stays, and looking through it took a fifth of the time

import os

import prometheus_client
import uvicorn

from engine.app import create_app
from engine.author import Author, RuleAuthor
from engine.routes import MAX_BODY
from engine.settings import EngineSettings
from events.process import configure_logs, settle_memory
from events.settings import settings_explained
from events.spans import Spans, SpanSettings

_STOP_WITHIN = 5


def main() -> None:
    """Run one engine with the settings of the environment."""
    configure_logs()
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    with settings_explained():
        settings = EngineSettings()
        app = create_app(settings, _author(), Spans.of_service("ganglion-engine", SpanSettings()))
    settle_memory()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_BODY,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_WITHIN,
    )


def _author() -> Author:
    """A model when `LLM_BASE_URL` names one, else rules."""
    if not os.environ.get("LLM_BASE_URL"):
        return RuleAuthor()
    # Imported here: the SDK takes a quarter of a second, and only this branch needs it.
    from engine.model import ModelAuthor, ModelSettings  # noqa: PLC0415 - as above

    return ModelAuthor(ModelSettings())


if __name__ == "__main__":
    main()
