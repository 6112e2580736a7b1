"""For programs outside: publish events, ask for tasks, watch them happen; over HTTP or NATS, by the URL.

async with EventProducer("http://127.0.0.1:8080", token) as producer:
    task = await producer.submit("Summarise: the export stops at row 200.")
    async for event in producer.watch(task):
        print(event.event)
"""

from producers.sdk.errors import BufferFullError, ProducerError, RefusedError, UnavailableError, UndeliveredError
from producers.sdk.frames import Delta, Happening, Snapshot, Told
from producers.sdk.outgoing import Receipt, Task, cloud_event
from producers.sdk.producer import EventProducer
from producers.sdk.watch import Watch

__all__ = [
    "BufferFullError",
    "Delta",
    "EventProducer",
    "Happening",
    "ProducerError",
    "Receipt",
    "RefusedError",
    "Snapshot",
    "Task",
    "Told",
    "UnavailableError",
    "UndeliveredError",
    "Watch",
    "cloud_event",
]
