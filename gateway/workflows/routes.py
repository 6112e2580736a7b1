"""All routes of workflows and proposals, put together."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth.bearer import Authenticator
from gateway.commands import Commands
from gateway.live.hub import Hub
from gateway.metrics import Metrics
from gateway.workflows.access import Access
from gateway.workflows.awaiting import Awaiting
from gateway.workflows.deciding import Deciding
from gateway.workflows.keeping import Keeping
from gateway.workflows.proposals import Proposals
from gateway.workflows.refining import Nursery, Refining
from gateway.workflows.workflows import Workflows
from storage.reading import Database


def workflow_routes(
    *, authenticator: Authenticator, acceptor: Acceptor, engine: Database, metrics: Metrics, hub: Hub
) -> APIRouter:
    """To be included by the application."""
    access, commands, nursery = Access(authenticator, engine), Commands(acceptor, engine), Nursery()
    proposals = Proposals(access, nursery, engine)
    router = APIRouter()
    for part in (
        Workflows(access, commands, engine),
        Keeping(access, commands),
        Refining(access, commands, acceptor, nursery, metrics=metrics, awaiting=Awaiting(hub, access, proposals.shown)),
        proposals,
        Deciding(access, commands, engine),
    ):
        router.routes.extend(part.router().routes)
    return router
