"""Plans as JSON: a task's estimate, and the steps it was divided into."""

from events.estimate import Estimate
from events.plan import Step, TaskDecomposed

View = dict[str, object]
_DIGITS = 4


def estimate_view(estimate: Estimate) -> View:
    """Three points, what is expected of them, and how complex that makes it."""
    return {
        "optimistic": round(estimate.optimistic, _DIGITS),
        "likely": round(estimate.likely, _DIGITS),
        "pessimistic": round(estimate.pessimistic, _DIGITS),
        "expected_hours": round(estimate.expected, _DIGITS),
        "level": estimate.level,
        "confidence": round(estimate.confidence, _DIGITS),
    }


def plan_view(plan: TaskDecomposed) -> View:
    """What POST /api/v1/tasks/{id}/decompose answers."""
    return {
        "task_id": plan.task_id,
        "plan_id": plan.plan_id,
        "estimate": estimate_view(plan.estimate),
        "children": [_step_view(step) for step in plan.children],
        "edges": [edge.model_dump() for edge in plan.edges],
        "templates": plan.templates,
        "rules": plan.rules,
        "strategies": plan.strategies,
        "total_hours": plan.total_hours,
        "critical_path": plan.critical_path,
        "critical_hours": plan.critical_hours,
    }


def _step_view(step: Step) -> View:
    return {
        "task_id": step.task_id,
        "parent_id": step.parent_id,
        "step": step.step,
        "description": step.description,
        "arm": step.arm,
        "required_capabilities": step.required_capabilities,
        "priority": step.priority,
        "estimate": estimate_view(step.estimate),
        "estimated_time": round(step.estimate.expected, _DIGITS),
        "estimated_cost": step.budget.max_cost_usd,
        "budget": step.budget.model_dump(),
    }
