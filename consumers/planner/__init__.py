"""The planner: divides a task into steps."""

from consumers.planner.consumer import build

__all__ = ["build"]
