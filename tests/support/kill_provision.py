"""`python -m tests.support.kill_provision`: schema and streams, with the stricter settings of kill_points.py."""

import asyncio

from deploy.provision import provision
from producers.connect import BusSettings
from producers.permissions import ADMIN
from storage.database import DatabaseSettings
from tests.support.kill_points import make_stricter

if __name__ == "__main__":
    make_stricter()
    asyncio.run(provision(BusSettings().url_for(ADMIN), DatabaseSettings().dsn))
