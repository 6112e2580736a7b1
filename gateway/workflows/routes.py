"""All routes of workflows and proposals, put together."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth import Authenticator
from gateway.metrics import Metrics
from gateway.wishes import Wishes
from gateway.workflows.access import Access
from gateway.workflows.deciding import Deciding
from gateway.workflows.proposals import Proposals
from gateway.workflows.refining import Nursery, Refining
from gateway.workflows.workflows import Workflows
from storage.reading import Database


def workflow_routes(
    *, authenticator: Authenticator, acceptor: Acceptor, engine: Database, metrics: Metrics
) -> APIRouter:
    """To be included by the application."""
    access, wishes, nursery = Access(authenticator, engine), Wishes(acceptor, engine), Nursery()
    router = APIRouter()
    for part in (
        Workflows(access, wishes, engine),
        Refining(access, wishes, acceptor, nursery, metrics),
        Proposals(access, nursery, engine),
        Deciding(access, wishes, engine),
    ):
        router.include_router(part.router())
    return router
