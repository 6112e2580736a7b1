"""Reflex: every text of a request is screened before any agent sees it. task.submitted -> task.checked."""

from consumers.reflex.build import build
from consumers.reflex.consumer import Reflex

__all__ = ["Reflex", "build"]
