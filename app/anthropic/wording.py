"""A validation problem in the words of the real API: `PATH: TEXT`."""

from __future__ import annotations

from pydantic import ValidationError

from app.errors import RequestRejected


def rejection(error: ValidationError) -> RequestRejected:
    """The first problem, as the client reads it."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    return RequestRejected(f"{path}: {first['msg']}" if path else first["msg"])
