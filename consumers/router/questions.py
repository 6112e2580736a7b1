"""Dry runs: who would take such a task now? Asked on core NATS, answered by one of the routers; nothing is changed."""

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from consumers.router.scoring import Needs, rank
from events.errors import GanglionError
from events.route import RouteAnswer, RouteQuestion
from producers.permissions import ROUTE_QUESTIONS
from storage.live.store import ColdError, LiveAgents

log = structlog.get_logger()


class Questions:
    """Answers with a view of its own; silent while the live state is not there."""

    def __init__(self, live: LiveAgents) -> None:
        self._live = live

    async def listen(self, client: Client) -> None:
        """Answer until the connection closes."""
        await client.subscribe(ROUTE_QUESTIONS, queue="router", cb=self._on_question)

    async def answer(self, question: RouteQuestion) -> RouteAnswer:
        """Everyone there is, judged; and the best one that has room. Raises ColdError."""
        await self._live.apply([])
        needs = Needs.of(question.tenant, question.kind, question.required_capabilities, question.routing)
        ranking = rank(self._live.serving(needs.tenant), needs, self._live.now)
        chosen = ranking.order[0].agent_id if ranking.room else None
        return RouteAnswer(agent_id=chosen, needs=needs.capabilities, candidates=tuple(ranking.candidates))

    async def _on_question(self, message: Msg) -> None:
        try:
            answer = await self.answer(RouteQuestion.model_validate_json(message.data))
        except (ValidationError, GanglionError, ColdError) as error:
            log.warning("question_unanswered", error=type(error).__name__)
            return
        await message.respond(answer.model_dump_json(exclude_none=True).encode())
