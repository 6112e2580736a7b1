"""What people ask for and say, at the right moment or not."""

from datetime import timedelta
from uuid import UUID

from events import AgentHeartbeat, TaskControl, TaskDecompose, TaskSpec, TaskSubmitted
from events.plan import PlanOptions
from events.task import FINAL, Dependency
from tests.simulation.site import OUTSIDE, Site

_LINKS = ("finish_to_start", "start_to_start", "finish_to_finish", "start_to_finish")
_PRIORITIES = ("critical", "normal", "normal", "low")
_SAID = (
    "cancel",
    "pause",
    "resume",
    "retry",
    "start",
    "add_dependency",
    "remove_dependency",
    "complete",
    "fail",
    "reassign",
)
_OFTEN = (3, 4, 4, 3, 4, 2, 2, 1, 1, 1)


class People:
    """They know only of what they have asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._dice = site.dice
        self._asked: list[UUID] = []
        self._plans = 0

    def submit(self) -> None:
        """One more task, that may wait for others, on hold or with little time."""
        dice = self._dice
        task_id = UUID(int=dice.getrandbits(128))
        spec = TaskSpec(
            prompt="Build an export",
            priority=dice.choice(_PRIORITIES),
            required_capabilities=("special",) if dice.random() < 0.2 else (),
            depends_on=tuple(self._link() for _ in range(dice.choice((0, 0, 0, 1, 1, 2)))) if self._asked else (),
            parent_id=dice.choice(self._asked) if self._asked and dice.random() < 0.1 else None,
            hold=dice.random() < 0.15,
            deadline_at=self._site.log.at + timedelta(seconds=dice.randint(20, 200)) if dice.random() < 0.08 else None,
        )
        self._asked.append(task_id)
        self._site.say(TaskSubmitted(task_id=task_id, spec=spec))

    def _link(self) -> Dependency:
        dice = self._dice
        return Dependency(task_id=dice.choice(self._asked), required=dice.random() < 0.7, type=dice.choice(_LINKS))

    def command(self) -> None:
        """Somebody wants a task's course changed."""
        known = [task.id for task in self._site.keeper.tables.open_tasks()] or self._asked
        if not known:
            return
        task_id = self._dice.choice(known if self._dice.random() < 0.8 else self._asked)
        if self._dice.random() < 0.1 and self._plans < 2:
            self._plans += 1
            plan_id = UUID(int=self._dice.getrandbits(128))
            options = PlanOptions(max_depth=1, template="none" if self._dice.random() < 0.4 else None)
            self._site.say(TaskDecompose(task_id=task_id, plan_id=plan_id, by="o", options=options))
            return
        action = self._dice.choices(_SAID, _OFTEN)[0]
        dependency = self._link() if action.endswith("_dependency") else None
        self._say(task_id, action, dependency=dependency)

    def come_or_go(self) -> None:
        """The agent of outside says that it goes, or that it is back; or it begins anew."""
        if self._dice.random() < 0.3:
            self._site.offline = False
            self._site.register_outside()
            return
        self._come_or_go()

    def _come_or_go(self) -> None:
        self._site.offline = not self._site.offline
        self._site.say(AgentHeartbeat(agent_id=OUTSIDE, status="offline" if self._site.offline else "healthy"))

    def let_everything_go_on(self) -> None:
        """Nobody holds anything back any more."""
        if self._site.offline:
            self._come_or_go()
        for task in self._site.keeper.tables.open_tasks():
            if task.course.hold:
                self._say(task.id, "start")
            elif task.status == "paused":
                self._say(task.id, "resume")

    def is_content(self) -> bool:
        """Whether everything has ended."""
        return all(task.status in FINAL for task in self._site.keeper.tables.tasks())

    def _say(self, task_id: UUID, action: str, **more: object) -> None:
        self._site.say(TaskControl.model_validate({"task_id": task_id, "action": action, "by": "o", **more}))
