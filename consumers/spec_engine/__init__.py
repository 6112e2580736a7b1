"""The consumer that runs refinements on a spec engine: task.assigned -> run.started … run.files … run.finished."""

from functools import partial

from consumers._engine.client import SpecEngineClient
from consumers._engine.settings import EngineSettings
from consumers._runtime import Resources, Slots
from consumers.spec_engine.consumer import SpecEngine
from events.streams import SPEC_ENGINE

__all__ = ["SpecEngine", "build"]


def build(resources: Resources) -> Slots:
    """The consumer, for the engine that the environment names."""
    settings = EngineSettings()
    engine = SpecEngine(SpecEngineClient(settings), resources.lookup, settings)
    return Slots(SPEC_ENGINE, engine.run, start=partial(engine.stops.listen, resources.client))
