"""Router: which agent takes a task, with its reasons. It alone writes the live state of the agents."""

from consumers._runtime import Flow, Resources
from consumers.router.questions import Questions
from consumers.router.rebuild import Builder
from consumers.router.router import Router
from events.streams import ROUTER
from storage.live.store import LiveAgents, RedisSettings

__all__ = ["build"]


def build(resources: Resources) -> Flow:
    """The consumer with the live state of REDIS_URL."""
    live, seen = LiveAgents(RedisSettings()), LiveAgents(RedisSettings())
    builder = Builder(live, resources.database, resources.client)
    router = Router(live, builder.ensure, resources.lookup.task)
    questions = Questions(seen)

    async def start() -> None:
        await questions.listen(resources.client)
        await builder.watch()

    return Flow(ROUTER, router.route, batch=router.route_all, start=start)
