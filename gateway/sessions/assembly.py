"""The session routes, put together from what the gateway has."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth.bearer import Authenticator
from gateway.commands import Commands
from gateway.metrics import Metrics
from gateway.sessions.acting import Sessions
from gateway.sessions.checkpoints import Checkpoints
from gateway.sessions.creating import Creating
from gateway.sessions.families import Families
from gateway.sessions.routes import SessionRoutes
from gateway.sessions.showing import Showing
from gateway.tenants.quotas import Quotas
from storage.reading import Database


def session_routes(
    *, authenticator: Authenticator, acceptor: Acceptor, engine: Database, metrics: Metrics, quotas: Quotas
) -> APIRouter:
    """The routes of `/api/v1/sessions`."""
    commands = Commands(acceptor, engine)
    sessions = Sessions(commands, engine)
    creating = Creating(acceptor=acceptor, commands=commands, sessions=sessions, metrics=metrics, quotas=quotas)
    routes = SessionRoutes(authenticator=authenticator, sessions=sessions, creating=creating, showing=Showing(engine))
    families = Families(authenticator=authenticator, sessions=sessions, engine=engine)
    checkpoints = Checkpoints(authenticator=authenticator, sessions=sessions, engine=engine)
    router = families.router()
    router.routes.extend([*routes.router().routes, *checkpoints.router().routes])
    return router
