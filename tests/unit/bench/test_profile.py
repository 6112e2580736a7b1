"""Reading what py-spy wrote."""

from bench.profile import below, outermost, shares, stacks

TEXT = """\
main (app/__main__.py:3);Runner.run (asyncio/runners.py:118);fold (keeper/fold.py:10);encode (events/codec.py:7) 6
main (app/__main__.py:3);Runner.run (asyncio/runners.py:118);fold (keeper/fold.py:12) 2
main (app/__main__.py:3);Runner.run (asyncio/runners.py:118) 1
worker (threading.py:9) 1
"""


def test_lines_of_one_function_are_one_function() -> None:
    assert ("keeper/fold.py:fold", 0.8, 0.2) in shares(stacks(TEXT))


def test_below_the_loop_are_its_tasks_and_the_loop_itself() -> None:
    part = below(stacks(TEXT), "runners.py:Runner.run")
    assert outermost(part) == [("keeper/fold.py:fold", 8 / 9), ("runners.py:Runner.run itself", 1 / 9)]


def test_below_a_function_are_only_its_callees() -> None:
    part = below(stacks(TEXT), "keeper/fold.py:fold")
    assert outermost(part) == [("events/codec.py:encode", 0.75), ("keeper/fold.py:fold itself", 0.25)]
