"""Which tests run one after the other in one worker, and which lane begins first. A pytest plugin.

Files that share a stack share a lane, and the long lanes begin first: while a campaign waits for what it broke to come
back, the others have the machine. All other files are lanes of their own.
"""

import gc
from collections.abc import Generator

import pytest
from xdist.scheduler import LoadScopeScheduling

LANES: dict[str, tuple[str, ...]] = {
    # Last in its lane is what needs a stack of its own; a lane of one test would take a second lane into its worker.
    "campaign": ("chaos/test_chaos", "e2e/test_cluster", "e2e/test_reflex_service", "e2e/test_full_log"),
    "soak": ("e2e/test_soak", "e2e/test_random_kills", "e2e/test_outages", "e2e/test_poison", "e2e/test_rebuild"),
    "whole stack": (
        *("e2e/test_cli", "e2e/test_journey", "e2e/test_one_command", "e2e/test_produce_page"),
        *("e2e/test_demo", "e2e/test_models_and_agents", "e2e/test_canaries"),
    ),
    "parts": (
        *("e2e/test_ha", "e2e/test_kills", "e2e/test_control", "e2e/test_conversation_kills", "e2e/test_chat"),
        "e2e/test_refinement_kills",
    ),
}
LONG = (
    *("integration/agents/test_many", "integration/edge/test_refusals", "integration/gateway/test_rooms"),
    *("integration/gateway/test_sockets", "integration/test_keeper_terms", "integration/gateway/test_outages"),
    *("integration/test_supervisor", "integration/chat/test_openapi", "integration/gateway/test_openapi"),
    *("integration/spec_engine/test_on_the_bus", "integration/test_servers", "integration/spec_engine/test_runs"),
    *("integration/chat/test_isolation", "unit/events/test_codec", "integration/chat/test_many"),
    *("integration/engine/test_faults", "integration/test_proposal_clock", "integration/edge/test_endless_requests"),
    *("integration/edge/test_strangers", "integration/gateway/test_session_outages", "integration/test_policy_file"),
)
"""Files that take longest, so that none is left for the end; the two that make much load are far apart."""

_THRESHOLDS = (20_000, 10, 10)
"""At the collector's default of 700 new objects it took a twelfth of a worker's time; what leaks is still found."""

_PLACES = {f"tests/{name}.py": lane for lane, names in LANES.items() for name in names}
_ORDER = {f"tests/{name}.py": place for place, name in enumerate((*(n for ns in LANES.values() for n in ns), *LONG))}


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def lane_of(nodeid: str) -> str:
    """Where a test runs; tests of one lane run in one worker, in their order."""
    return _PLACES.get(file_of(nodeid), file_of(nodeid))


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """xdist's distribution by file, with lanes in the place of files."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Lanes | None:
    """With `--dist loadfile`."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # ours is the order that counts
    return Lanes(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lanes first, then the long files, then all others as they were found."""
    items.sort(key=lambda item: _ORDER.get(file_of(item.nodeid), len(_ORDER)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: the garbage collector looks through it neither now nor in every test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.enable()
