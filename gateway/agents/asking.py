"""Asking the router who would take a task, on core NATS."""

import asyncio

from nats.errors import Error as NatsError
from pydantic import ValidationError

from events.route import RouteAnswer, RouteQuestion
from gateway.agents.errors import RouterAwayError
from gateway.bus import Bus
from producers.permissions import ROUTE_QUESTIONS

_WITHIN = 2.0


async def ask_router(bus: Bus, question: RouteQuestion) -> RouteAnswer:
    """Its answer. Raises RouterAwayError."""
    try:
        client = await asyncio.wait_for(bus.client(), _WITHIN)
        said = await client.request(ROUTE_QUESTIONS, question.model_dump_json().encode(), timeout=_WITHIN)
        return RouteAnswer.model_validate_json(said.data)
    except (NatsError, TimeoutError, ValidationError) as error:
        raise RouterAwayError from error
