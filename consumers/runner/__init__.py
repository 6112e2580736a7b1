"""Runner: an assigned task is worked on by its agent. task.assigned -> run.started, run.progress, run.finished."""

from consumers.runner.runner import Runner, build

__all__ = ["Runner", "build"]
