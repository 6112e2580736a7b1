"""All routes of tasks but the two that take new ones."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth.bearer import Authenticator
from gateway.commits import Commits
from gateway.live.hub import Hub
from gateway.live.sse import Streams
from gateway.tasks.controlling import Controlling
from gateway.tasks.decomposing import Decomposing
from gateway.tasks.families import Families
from gateway.tasks.lookup import Lookup
from gateway.tasks.reading import Reading
from gateway.tasks.steering import Steering
from storage.reading import Database


def task_routes(
    *,
    authenticator: Authenticator,
    acceptor: Acceptor,
    commits: Commits,
    lookup: Lookup,
    engine: Database,
    streams: Streams,
    hub: Hub,
) -> list[APIRouter]:
    """In the order in which their paths are to be tried."""
    controlling = Controlling(authenticator=authenticator, acceptor=acceptor, lookup=lookup, engine=engine)
    decomposing = Decomposing(
        authenticator=authenticator, acceptor=acceptor, commits=commits, lookup=lookup, engine=engine, hub=hub
    )
    families = Families(authenticator=authenticator, lookup=lookup, engine=engine)
    reading = Reading(authenticator=authenticator, lookup=lookup, engine=engine, streams=streams)
    return [part.router() for part in (families, reading, controlling, decomposing, Steering(controlling))]
