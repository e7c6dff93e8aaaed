"""What a request asks of the bench's upstream, as a marker in its text: it passes through any gateway untouched.

In: an `Order`. Out: its marker `bench:MODE:KIND:EVENTS:MILLISECONDS:TAG`, and back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STAMP = "sent-at-"  # a stamped event's text: this, then nanoseconds of the system's monotonic clock
_MARKER = re.compile(rb"bench:(\w+):(\w+):(\d+):(\d+):(\w+)")


@dataclass(frozen=True, slots=True)
class Order:
    """One answer.

    mode: `batch` all at once; `paced` each event alone; `stamped` paced, and each text says when it was sent; `held` one event,
    then silence with a trickle. kind: text, tool or thinking. milliseconds: mean pause between events. tag: names the stream.
    """

    mode: str = "batch"
    kind: str = "text"
    events: int = 5
    milliseconds: int = 0
    tag: str = "none"

    def __str__(self) -> str:
        return f"bench:{self.mode}:{self.kind}:{self.events}:{self.milliseconds}:{self.tag}"


def read_order(body: bytes | bytearray) -> Order:
    """The last order in a request; the default one when there is none."""
    found = _MARKER.match(body, at) if (at := body.rfind(b"bench:")) >= 0 else None
    if found is None:
        return Order()
    mode, kind, events, milliseconds, tag = (part.decode() for part in found.groups())
    return Order(mode, kind, int(events), int(milliseconds), tag)
