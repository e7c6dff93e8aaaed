"""What one step of an examination comes to. Shows no secret: a proxy stands here without its user and password."""

from __future__ import annotations

from dataclasses import dataclass

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Seen:
    """One call. region: "" for a host without one; proxy: "none", or its URL; status: None when there was no answer."""

    host: str
    region: str
    proxy: str
    status: int | None
    ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a step. outcome: OK, FAILED or SKIPPED; calls: oldest first, so that the last one decided."""

    name: str
    outcome: str
    said: str
    calls: tuple[Seen, ...] = ()
    ms: int = 0
    hint: str | None = None
