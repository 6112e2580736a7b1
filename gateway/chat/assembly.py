"""The conversation routes, put together from what the gateway has."""

from fastapi import APIRouter

from gateway.accept import Acceptor
from gateway.auth.bearer import Authenticator
from gateway.chat.conversations import Conversations
from gateway.chat.routes import Chat
from gateway.chat.turn import Turns
from gateway.chat.waiting import Waiting
from gateway.commands import Commands
from gateway.commits import Commits
from gateway.live.sse import Streams
from gateway.metrics import Metrics
from storage.reading import Database


def chat_routes(
    *,
    authenticator: Authenticator,
    acceptor: Acceptor,
    commits: Commits,
    engine: Database,
    metrics: Metrics,
    waiting: Waiting,
    streams: Streams,
) -> APIRouter:
    """The routes of `/api/{user_id}`."""
    commands = Commands(acceptor, engine)
    turns = Turns(acceptor=acceptor, commits=commits, commands=commands, engine=engine, metrics=metrics)
    conversations = Conversations(engine)
    return Chat(
        authenticator=authenticator, turns=turns, waiting=waiting, conversations=conversations, streams=streams
    ).router()
