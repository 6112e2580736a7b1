"""All routes of workflows and proposals, put together."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth import Authenticator
from gateway.hub import Hub
from gateway.metrics import Metrics
from gateway.wishes import Wishes
from gateway.workflows.access import Access
from gateway.workflows.awaiting import Awaiting
from gateway.workflows.deciding import Deciding
from gateway.workflows.proposals import Proposals
from gateway.workflows.refining import Nursery, Refining
from gateway.workflows.workflows import Workflows
from storage.reading import Database


def workflow_routes(
    *, authenticator: Authenticator, acceptor: Acceptor, engine: Database, metrics: Metrics, hub: Hub
) -> APIRouter:
    """To be included by the application."""
    access, wishes, nursery = Access(authenticator, engine), Wishes(acceptor, engine), Nursery()
    proposals = Proposals(access, nursery, engine)
    router = APIRouter()
    for part in (
        Workflows(access, wishes, engine),
        Refining(access, wishes, acceptor, nursery, metrics=metrics, awaiting=Awaiting(hub, access, proposals.shown)),
        proposals,
        Deciding(access, wishes, engine),
    ):
        router.routes.extend(part.router().routes)
    return router
