"""`requests [ID]`: what happened to the last requests, and to one of them attempt by attempt."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.group import instant, table
from app.errors import GatewayError
from app.ledger import Attempt, RequestRecord
from app.services import services

LAST = 20


@click.command("requests")
@click.argument("request_id", required=False, metavar="[ID]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=LAST, show_default=True, help="How many to list.")
@with_appcontext
def requests(request_id: str | None, limit: int) -> None:
    """The last requests, newest first; with ID the whole record of one."""
    try:
        click.echo(_overview(limit) if request_id is None else _whole(_record(request_id)))
    except GatewayError as error:
        raise click.ClickException(error.message) from error


def _overview(limit: int) -> str:
    records = services().ledger.latest(limit)
    if not records:
        return "No request has been recorded yet."
    head = ("ID", "AT", "KEY", "MODEL", "STATUS", "TRIES", "IN", "OUT", "CREDITS", "MS", "ERROR")
    return table(head, [_line(record) for record in records])


def _record(request_id: str) -> RequestRecord:
    record = services().ledger.get(request_id)
    if record is None:
        raise click.ClickException(
            f"there is no record of a request {request_id!r}; list the last ones with `flask --app wsgi requests`"
        )
    return record


def _line(record: RequestRecord) -> tuple[object, ...]:
    return (
        record.id,
        instant(record.at),
        record.key_name,
        _model(record),
        record.status,
        len(record.attempts),
        record.input_tokens,
        record.output_tokens,
        record.credits,
        record.total_ms,
        record.error_type,
    )


def _whole(record: RequestRecord) -> str:
    """What is known, one thing per line, then each attempt on a line of its own."""
    facts = (
        ("id", record.id),
        ("at", instant(record.at)),
        ("path", record.path),
        ("key", record.key_name),
        ("model", _model(record)),
        ("streamed", "yes" if record.stream else "no"),
        ("session", record.session_id),
        ("status", record.status),
        ("error", f"{record.error_type}: {record.error_message}" if record.error_type else None),
        ("stop reason", record.stop_reason),
        ("tokens", _tokens(record)),
        ("credits", record.credits),
        ("rules", ", ".join(record.rules) or None),
        ("first event", _milliseconds(record.first_event_ms)),
        ("in all", _milliseconds(record.total_ms)),
    )
    lines = [f"{name:<12} {' '.join(str(value).split())}" for name, value in facts if value is not None]
    return "\n".join([*lines, *(_attempt(number, attempt) for number, attempt in enumerate(record.attempts, start=1))])


def _attempt(number: int, attempt: Attempt) -> str:
    who = f"credential {attempt.credential_id}" if attempt.credential_id is not None else "no credential"
    name = f" ({attempt.credential_label})" if attempt.credential_label else ""
    reason = f": {' '.join(attempt.reason.split())}" if attempt.reason else ""
    return f"{f'attempt {number}':<12} {who}{name}, {attempt.why} → {attempt.status}{reason} [{attempt.ms} ms]"


def _model(record: RequestRecord) -> str | None:
    if record.model_used is None or record.model_used == record.model_asked:
        return record.model_asked
    return f"{record.model_asked} → {record.model_used}"


def _tokens(record: RequestRecord) -> str | None:
    if record.input_tokens is None and record.output_tokens is None:
        return None
    source = f" ({record.token_source})" if record.token_source else ""
    return (
        f"{record.input_tokens or 0} in, {record.output_tokens or 0} out, {record.cache_read_tokens or 0} read from the cache, "
        f"{record.cache_write_tokens or 0} written to it{source}"
    )


def _milliseconds(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else f"{milliseconds} ms"
