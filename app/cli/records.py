"""`requests [ID]`: what happened to the last requests, and to one of them attempt by attempt."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import click
from flask.cli import with_appcontext

from app.cli.group import table
from app.errors import GatewayError
from app.ledger import RequestRecord
from app.services import services

LAST = 20


@click.command("requests")
@click.argument("request_id", required=False, metavar="[ID]")
@with_appcontext
def requests_command(request_id: str | None) -> None:
    """The last 20 requests; with ID the whole record of one."""
    try:
        if request_id is None:
            records = services().ledger.latest(LAST)
            click.echo(overview(records) if records else "No request has been recorded yet.")
            return
        record = services().ledger.get(request_id)
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    if record is None:
        raise click.ClickException(f"there is no record of a request {request_id!r}; `requests` lists the last {LAST}")
    click.echo(whole(record))


def overview(records: list[RequestRecord]) -> str:
    """One line per record."""
    head = ("ID", "AT", "KEY", "MODEL", "STATUS", "TRIES", "IN", "OUT", "MS", "ERROR")
    return table(head, [_line(record) for record in records])


def _line(record: RequestRecord) -> tuple[object, ...]:
    return (
        record.id,
        when(record.at),
        record.key_name,
        record.model_used or record.model_asked,
        record.status,
        len(record.attempts),
        record.input_tokens,
        record.output_tokens,
        record.total_ms,
        record.error_type,
    )


def whole(record: RequestRecord) -> str:
    """Every field that is known, then each attempt on a line of its own."""
    lines = []
    for item in dataclasses.fields(record):
        value = getattr(record, item.name)
        if item.name == "attempts" or value is None:
            continue
        if item.name == "at":
            value = when(record.at)
        elif item.name == "rules":
            value = ", ".join(record.rules)
        lines.append(f"{item.name:<18} {' '.join(str(value).split())}")
    lines.append(f"{'attempts':<18} {len(record.attempts)}")
    for number, attempt in enumerate(record.attempts, start=1):
        credential = f"credential {attempt.credential_id}" + (
            f" ({attempt.credential_label})" if attempt.credential_label else ""
        )
        reason = f": {' '.join(attempt.reason.split())}" if attempt.reason else ""
        lines.append(f"  {number}. {credential}, {attempt.why} -> {attempt.status}{reason} [{attempt.ms} ms]")
    return "\n".join(lines)


def when(at: float) -> str:
    """An instant in local time."""
    return datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")
