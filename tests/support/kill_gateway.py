"""`python -m tests.support.kill_gateway`: the gateway, which dies at armed points (kill_points.py)."""

from events.base import Event, EventData
from gateway.__main__ import main
from gateway.bus import Bus
from producers.publisher import Ack
from tests.support.kill_points import GATEWAY_AFTER_ACK, Points, make_stricter, replace_method


def _wrap_gateway(points: Points) -> None:
    publish = Bus.publish

    async def dying_publish(self: Bus, event: Event[EventData]) -> Ack:
        ack = await publish(self, event)
        points.strike(GATEWAY_AFTER_ACK)
        return ack

    replace_method(Bus, "publish", dying_publish)


if __name__ == "__main__":
    make_stricter()
    _wrap_gateway(Points.of_environment())
    main()
