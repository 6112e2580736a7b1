"""What an agent is given: the request and its conversation, with redacted texts in place of the original ones."""

from consumers._checkpoints import given_to
from consumers._references import References, as_text
from consumers._steps import steps_of
from consumers.runner.agent import Agent, Said, Work
from consumers.runner.history import BYTES_A_TOKEN, newest_that_fit
from events.texts import with_texts
from storage.lookup import Lookup, TaskView


async def work_for(agent: Agent, task: TaskView, lookup: Lookup) -> Work:
    """The work of one task: with the contexts that it refers to and the results of the steps that it builds on; a turn
    comes with what was said before it, a later attempt with the checkpoint that it goes on from.

    Raises StoreUnavailableError.
    """
    spec = with_texts(task.spec, task.redacted)
    history: tuple[Said, ...] = ()
    if spec.kind == "turn" and task.session_id is not None:
        found = await lookup.said_before(task.session_id, task.id, agent.history_tokens * BYTES_A_TOKEN)
        history = newest_that_fit([Said(line.role, line.text) for line in found], agent.history_tokens)
    given = await given_to(task, lookup)
    return Work(
        prompt=spec.prompt,
        context="\n\n".join(filter(None, (spec.context.text, as_text(await References(lookup).of(task))))),
        acceptance_criteria=spec.acceptance_criteria,
        kind=spec.kind,
        history=history,
        steps=await steps_of(spec, lookup),
        checkpoint=None if given is None else given.data,
    )
