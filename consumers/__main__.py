"""`python -m consumers [NAME …]`: run the named consumers, or all of them, in one process."""

import argparse

import uvloop

from consumers.app import CONSUMERS, run


def main() -> None:
    """Read the names and run."""
    parser = argparse.ArgumentParser(prog="consumers", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CONSUMERS, []], metavar="NAME", help=", ".join(CONSUMERS))
    names = parser.parse_args().names or list(CONSUMERS)
    uvloop.run(run(names))


if __name__ == "__main__":
    main()
