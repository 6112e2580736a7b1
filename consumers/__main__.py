"""`python -m consumers [NAME …]`: run the named consumers, or all of them, in one process."""

import gc

if __name__ == "__main__":
    gc.disable()  # until `main`: all that is imported stays, and looking through it took a fifth of the time

import argparse

import uvloop

from consumers._metrics import MetricsPortError, MetricsSettings, served
from consumers.app import CONSUMERS, ConsumerProcess
from events.process import configure_logs
from events.settings import settings_explained
from producers.connect import BusSettings
from screening.policy import PolicyError
from storage.database import DatabaseSettings


async def _run(names: list[str]) -> None:
    with served(MetricsSettings()):
        await ConsumerProcess(names, BusSettings(), DatabaseSettings()).run()


def main() -> None:
    """Read the names and run."""
    gc.enable()
    parser = argparse.ArgumentParser(prog="consumers", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CONSUMERS, []], metavar="NAME", help=", ".join(CONSUMERS))
    names = parser.parse_args().names or list(CONSUMERS)
    configure_logs()
    try:
        with settings_explained():
            uvloop.run(_run(names))
    except (MetricsPortError, PolicyError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
