"""All that may come from outside."""

from gateway.agents.contexts import AgentContextRule
from gateway.agents.facts import agent_rules
from gateway.door.commands import DecisionRule, SessionRule, WorkflowRule
from gateway.door.contexts import ContextRule
from gateway.door.controls import ControllingRule
from gateway.door.rules import Rules
from gateway.door.tasks import DecomposingRule, SubmittingRule
from gateway.tasks.lookup import Lookup
from gateway.workflows.access import Access
from storage.reading import Database


def door_rules(lookup: Lookup, access: Access, engine: Database) -> Rules:
    """The table of rules; a type that is not in it is refused."""
    tasks = (SubmittingRule(), ControllingRule(lookup), DecomposingRule(lookup))
    commands = (SessionRule(), DecisionRule(access), WorkflowRule(access), ContextRule(engine))
    return Rules([*tasks, *commands, *agent_rules(engine), AgentContextRule(engine)])
