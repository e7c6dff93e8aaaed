"""Which chat requests are refused, and how (filled in by the rules of protocol 4.4)."""

from __future__ import annotations

from simulator.chat import ChatCall
from simulator.refusals import Refusal


def validate(call: ChatCall) -> tuple[str, Refusal] | None:
    """The first broken rule's name and answer."""
    return None
