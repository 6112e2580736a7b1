"""`ganglion demo`: the whole stack for a moment, and everything it can do, one act after the other."""

from cli.demo.journey import demo

__all__ = ["demo"]
