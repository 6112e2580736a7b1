"""The agents of this process: the offline one always, and a model's when there is one."""

from consumers.runner.agent import Agent
from consumers.runner.extractive import ExtractiveAgent
from consumers.runner.llm import LlmAgent, LlmSettings


def built_in(settings: LlmSettings | None = None) -> list[Agent]:
    """All agents that this process runs, as the environment has it."""
    settings = settings or LlmSettings()
    agents: list[Agent] = [ExtractiveAgent()]
    if settings.base_url:
        agents.append(LlmAgent(settings))
    return agents
