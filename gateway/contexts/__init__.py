"""Contexts: bags of JSON that the agents and people of one owner share (docs/contexts.md)."""
