"""The session routes, put together from what the gateway has."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth import Authenticator
from gateway.metrics import Metrics
from gateway.sessions.acting import Sessions
from gateway.sessions.creating import Creating
from gateway.sessions.routes import SessionRoutes
from gateway.sessions.showing import Showing
from gateway.wishes import Wishes
from storage.reading import Database


def session_routes(
    *, authenticator: Authenticator, acceptor: Acceptor, engine: Database, metrics: Metrics
) -> APIRouter:
    """The routes of `/api/v1/sessions`."""
    wishes = Wishes(acceptor, engine)
    sessions = Sessions(wishes, engine)
    creating = Creating(acceptor=acceptor, wishes=wishes, sessions=sessions, metrics=metrics)
    routes = SessionRoutes(authenticator=authenticator, sessions=sessions, creating=creating, showing=Showing(engine))
    return routes.router()
