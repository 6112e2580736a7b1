"""A consumer that was written and not registered would never run: the registry is compared with the files."""

import importlib
import pkgutil

import consumers
from consumers.app import CONSUMERS
from events.streams import DURABLES
from producers.permissions import ADMIN, CALLOUT, GATEWAY, users


def test_every_module_with_a_consumer_is_in_the_registry_under_its_name() -> None:
    found = {}
    for module in pkgutil.iter_modules(consumers.__path__):
        if not module.name.startswith("_") and module.name != "app":
            found[module.name] = importlib.import_module(f"consumers.{module.name}").build
    assert found == CONSUMERS


def test_every_durable_belongs_to_a_registered_consumer() -> None:
    assert {durable.name for durable in DURABLES} <= set(CONSUMERS)


def test_every_consumer_is_a_user_of_nats_and_no_user_is_left_over() -> None:
    assert set(users()) - {ADMIN, GATEWAY, CALLOUT} == set(CONSUMERS)
