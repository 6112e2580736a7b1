"""Roles that start at once: one process imports their programs, and forks each time one is to be started.

A test that kills roles and starts them again would spend most of its time, and the machine's, on imports. What is
forked runs the same program from its first line on, as a process and session of its own with the environment it is
given; only the modules and the compiled rules are there already. `make up` and its tests start roles the long way.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import cast

from deploy.local.process import Command, Launcher, Process, raise_file_limit, rotate
from deploy.local.role_process import PROJECT
from screening.settings import ScreeningSettings

_LIMIT = 1 << 20
_ENDS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Order:
    """A program to run: `python -m MODULE ARGUMENTS` with this environment, its output appended to these files."""

    module: str
    arguments: list[str]
    env: dict[str, str]
    out: str
    err: str


class Fork:
    """One forked role, with as much of subprocess.Popen as `Process` asks for."""

    def __init__(self, mould: "Mould", pid: int) -> None:
        self._mould = mould
        self.pid = pid

    def poll(self) -> int | None:
        return self._mould.exit_code(self.pid)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Mould:
    """The process that forks, started with the first order; it ends with us."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # It ends when our end of the socket is closed, at the latest by our own end.
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "tests.support.forked_roles", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=PROJECT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._ended: dict[int, int] = {}

    def close(self) -> None:
        """Let it end, and wait until it has."""
        self._ours.close()
        self._process.wait(_ENDS_WITHIN)

    def fork(self, order: Order) -> Fork:
        """Carry out an order; returns when the process is there."""
        self._ours.send(json.dumps(asdict(order)).encode())
        while True:
            told = self._told(wait=True)
            if told is None:
                raise RuntimeError("the process that forks the roles has ended")
            if told[0] == "started":
                return Fork(self, told[1])

    def exit_code(self, pid: int) -> int | None:
        """As subprocess says it; None while it runs."""
        while pid not in self._ended and self._told(wait=False):
            pass
        return self._ended.get(pid)

    def _told(self, *, wait: bool) -> tuple[str, int] | None:
        try:
            message = self._ours.recv(_LIMIT, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        if not message:
            return None
        what, pid, code = json.loads(message)
        if what == "ended":
            self._ended[pid] = code
        return what, pid


def can_fork() -> bool:
    """Whether forks can be watched here: only Linux lets anybody but the parent."""
    return hasattr(os, "pidfd_open")


@cache
def mould() -> Mould:
    """The one of this test process, until that ends."""
    one = Mould()
    atexit.register(one.close)
    return one


@dataclass(frozen=True)
class ForkingLauncher(Launcher):
    """Starts `python -m …` by a fork; anything else, and what loads a library before Python, the long way."""

    def launch(self, command: Command) -> Process:
        program, *rest = command.argv
        if program != sys.executable or rest[0] != "-m" or "LD_PRELOAD" in command.env or not can_fork():
            return super().launch(command)
        rotate(command.log)
        command.log.touch(mode=0o600)  # whoever looks into it at once finds it
        log = str(command.log)
        fork = mould().fork(Order(rest[1], list(rest[2:]), dict(command.env), log, log))
        self.watchdog.watch(fork.pid, command.stop_signal)
        return Process(cast("subprocess.Popen[bytes]", fork), command, self.watchdog)


def _orders(channel: socket.socket) -> Iterator[Order]:
    """The next order, and word to the other side of whoever has ended meanwhile."""
    watched = selectors.DefaultSelector()
    watched.register(channel, selectors.EVENT_READ)
    while True:
        for key, _ in watched.select():
            if key.fileobj is not channel:
                watched.unregister(key.fileobj)
                os.close(key.fd)
                _, status = os.waitpid(key.data, 0)
                channel.send(json.dumps(["ended", key.data, os.waitstatus_to_exitcode(status)]).encode())
                continue
            message = channel.recv(_LIMIT)
            if not message:
                return
            order = Order(**json.loads(message))
            _import(order.module)
            if (pid := os.fork()) == 0:
                for sibling in [key.fd for key in watched.get_map().values() if key.fileobj is not channel]:
                    os.close(sibling)
                watched.close()
                yield order
                return
            watched.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
            channel.send(json.dumps(["started", pid, 0]).encode())


def _import(module: str) -> None:
    program = module
    if hasattr(importlib.import_module(module), "__path__"):
        program = f"{module}.__main__"
        importlib.import_module(program)
    del sys.modules[program]  # it is run anew, under the name `__main__`
    if module == "cli":
        importlib.import_module("cli.command")
    else:
        ScreeningSettings().screener()
    gc.collect()
    gc.freeze()  # or the children's collectors would touch, and so copy, every page


def _run(order: Order) -> None:
    """Become the role."""
    os.setsid()
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(order.env)
    for path, stream in ((order.out, 1), (order.err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, stream)
        os.close(file)
    raise_file_limit()
    gc.enable()
    sys.argv = [order.module, *order.arguments]
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


def _main() -> None:
    """Wait for orders; in a child, carry its order out."""
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        order = next(_orders(channel), None)
    if order is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _run(order)


if __name__ == "__main__":
    _main()
