"""Which version of Ganglion runs here."""

from importlib.metadata import PackageNotFoundError, version


def running_version() -> str:
    """The installed version, or the one of a checkout that is not installed."""
    try:
        return version("ganglion")
    except PackageNotFoundError:
        return "0.0.0"
