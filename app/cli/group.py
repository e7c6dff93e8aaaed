"""What all commands share: an error of ours becomes one line and exit status 1, a table is aligned text, an instant is UTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import AppGroup

from app.errors import GatewayError


class Group(AppGroup):
    """A group whose commands run inside the application and report a GatewayError as `Error: …`."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException(error.message) from error


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; None is an empty cell, a line break inside one becomes a space."""
    lines = [list(head), *(["" if cell is None else " ".join(str(cell).split()) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def instant(at: float | None) -> str | None:
    """Epoch seconds for a person, to the second; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
