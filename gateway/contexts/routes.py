"""All routes of contexts, put together."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth.bearer import Authenticator
from gateway.commands import Commands
from gateway.contexts.acting import Contexts
from gateway.contexts.contexts import ContextRoutes
from gateway.contexts.joining import JoiningRoutes
from gateway.contexts.keys import KeyRoutes
from gateway.contexts.listing import ListingRoutes
from storage.reading import Database


def context_routes(*, authenticator: Authenticator, acceptor: Acceptor, engine: Database) -> APIRouter:
    """To be included by the application; what has a name of its own comes before what has an id."""
    contexts = Contexts(authenticator, Commands(acceptor, engine), engine)
    router = APIRouter()
    by_name = (ListingRoutes(contexts, engine), JoiningRoutes(contexts, engine))
    for part in (*by_name, ContextRoutes(contexts, engine), KeyRoutes(contexts)):
        router.routes.extend(part.router().routes)
    return router
