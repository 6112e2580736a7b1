"""The keeper: folds the log into Postgres, exactly once and in order, and announces the states (DESIGN 4)."""

from consumers.keeper.consumer import build

__all__ = ["build"]
