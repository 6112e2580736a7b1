"""All that may come from outside."""

from gateway.door.rules import Rules
from gateway.door.tasks import ControllingRule, SubmittingRule
from gateway.door.wishes import DecisionRule, SessionRule, WorkflowRule
from gateway.lookup import Lookup
from gateway.workflows.access import Access


def door_rules(lookup: Lookup, access: Access) -> Rules:
    """The table of rules; a type that is not in it is refused."""
    return Rules([SubmittingRule(), ControllingRule(lookup), SessionRule(), DecisionRule(access), WorkflowRule(access)])
