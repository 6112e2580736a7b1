"""Keeps runtime.json equal to what runs."""

import os
from pathlib import Path

from deploy.local.addresses import Addresses
from deploy.local.guard import Guard
from deploy.local.runtime import Runtime, remove_runtime, write_runtime
from deploy.local.tokens import mint


class Report:
    """Writes what the guards know to `home`, with a fresh development token each time."""

    def __init__(self, home: Path, addresses: Addresses) -> None:
        self._home = home
        self._addresses = addresses
        self.guards: tuple[Guard, ...] = ()

    def publish(self) -> None:
        """Write runtime.json."""
        write_runtime(self._home, self.current())

    def remove(self) -> None:
        """Delete runtime.json."""
        remove_runtime(self._home)

    def current(self) -> Runtime:
        """What runs now."""
        addresses = self._addresses
        return Runtime(
            gateway_url=addresses.gateway_url,
            token=mint(addresses.jwt_secret, owner="dev", tenant="dev"),
            nats_url=addresses.nats_url,
            database_url=addresses.database_url,
            redis_url=addresses.redis_url,
            metrics_url=addresses.metrics_url,
            supervisor=os.getpid(),
            pids={guard.child.name: guard.child.pid for guard in self.guards},
            restarts={guard.child.name: guard.restarts for guard in self.guards},
            last_error={guard.child.name: guard.last_error for guard in self.guards if guard.last_error},
        )
