"""The agents of this process: a model's if a server is named, else the offline one."""

from typing import NamedTuple

from consumers.runner.agent import Agent
from consumers.runner.extractive import ExtractiveAgent
from consumers.runner.llm import LlmAgent, LlmSettings


class Agents(NamedTuple):
    """`offered` are registered for new work; `kept` only end what an earlier configuration left to them."""

    offered: tuple[Agent, ...]
    kept: tuple[Agent, ...] = ()


def built_in(settings: LlmSettings | None = None) -> Agents:
    """All agents that this process runs, as the environment has it.

    Both can do the same: were the offline one offered beside a model, routing would give it every second turn.
    """
    settings = settings or LlmSettings()
    offline = ExtractiveAgent()
    return Agents((LlmAgent(settings),), (offline,)) if settings.base_url else Agents((offline,))
