"""What the real API refuses although the shape of the request is right, as named checks in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.anthropic.request import CountRequest


def check_request(request: CountRequest, *, version: str, repair: bool) -> list[str]:
    """Raise for the first problem; names of the checks that failed but may be repaired."""
    return []
