"""What the stand-in received and how each call ended."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_CALLS = 20_000


@dataclass(slots=True)
class Call:
    """One call. Instants are epoch seconds.

    ended: "" while it runs, then "complete", "client_gone", or what a script did: "close", "rst", "reset".
    client_gone_at: when the peer was seen to leave, else None. refused_by: the rule or check that refused it.
    """

    number: int
    at: float
    method: str
    path: str
    query: dict[str, str]
    host: str
    headers: dict[str, str]
    body: Any
    account: str | None = None
    model: str | None = None
    status: int | None = None
    refused_by: str | None = None
    scripted: bool = False
    answered_at: float | None = None
    ended: str = ""
    ended_at: float | None = None
    client_gone_at: float | None = None
    sent_bytes: int = 0


class Recording:
    """The newest calls, and counts of all."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._number = 0
        self._counts: Counter[str] = Counter()
        self.open_streams = 0
        self.most_open_streams = 0

    def begin(self, **values: Any) -> Call:
        """A new call, recorded from its start on."""
        self._number += 1
        call = Call(number=self._number, **values)
        self._calls.append(call)
        return call

    def end(self, call: Call, how: str, *, now: float, gone_at: float | None = None) -> None:
        """Note how a call ended and count it."""
        call.ended, call.ended_at, call.client_gone_at = how, now, gone_at
        self._counts[f"{call.path} {call.status if call.status is not None else how}"] += 1

    def open_stream(self) -> None:
        """A chat answer begins."""
        self.open_streams += 1
        self.most_open_streams = max(self.most_open_streams, self.open_streams)

    def close_stream(self) -> None:
        """A chat answer is over, however it ended."""
        self.open_streams -= 1

    def calls(self, path: str | None = None) -> list[dict[str, Any]]:
        """The recorded calls, oldest first."""
        return [asdict(call) for call in self._calls if path in (None, call.path)]

    def clear(self) -> None:
        """Forget calls and counts; what is open stays counted."""
        self._calls.clear()
        self._counts.clear()
        self.most_open_streams = self.open_streams

    def stats(self) -> dict[str, Any]:
        """Counts by path and status, and the open streams."""
        return {
            "calls": self._number,
            "by_path_and_status": dict(self._counts),
            "open_streams": self.open_streams,
            "most_open_streams": self.most_open_streams,
        }
