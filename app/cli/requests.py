"""`requests [ID]`: what happened to the last requests, attempt by attempt."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.table import instant, show
from app.ledger import RequestRecord
from app.services import services


@click.command("requests")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--limit", default=20, show_default=True, help="How many to list.")
@with_appcontext
def requests(id_: str | None, limit: int) -> None:
    """The last requests, or everything about one of them."""
    ledger = services().ledger
    if id_ is None:
        show(
            ("id", "at", "key", "model", "status", "attempts", "tokens in/out", "credits", "ms"),
            [_line(record) for record in ledger.latest(limit)],
        )
        return
    record = ledger.get(id_)
    if record is None:
        raise click.ClickException(f"there is no record of request {id_}; list them with `flask --app wsgi requests`")
    for name in ("id", "path", "key_name", "model_asked", "model_used", "stream", "session_id", "status", "stop_reason"):
        click.echo(f"{name:<18}{getattr(record, name)}")
    click.echo(f"{'at':<18}{instant(record.at)}")
    click.echo(
        f"{'tokens':<18}{record.input_tokens} in, {record.output_tokens} out, {record.cache_read_tokens} read from cache, "
        f"{record.cache_write_tokens} written to it ({record.token_source})"
    )
    click.echo(f"{'credits':<18}{record.credits}")
    click.echo(f"{'rules':<18}{', '.join(record.rules) or 'none fired'}")
    click.echo(f"{'time':<18}{record.first_event_ms} ms to the first event, {record.total_ms} ms in all")
    if record.error_type:
        click.echo(f"{'error':<18}{record.error_type}: {record.error_message}")
    for number, attempt in enumerate(record.attempts, 1):
        who = f"credential {attempt.credential_id} ({attempt.credential_label})"
        reason = f": {attempt.reason}" if attempt.reason else ""
        click.echo(f"attempt {number:<10}{who}, {attempt.why} → {attempt.status}{reason} [{attempt.ms} ms]")


def _line(record: RequestRecord) -> tuple[object, ...]:
    model = record.model_asked if record.model_asked == record.model_used else f"{record.model_asked} → {record.model_used}"
    tokens = f"{record.input_tokens}/{record.output_tokens}"
    return (
        record.id,
        instant(record.at),
        record.key_name,
        model,
        record.status,
        len(record.attempts),
        tokens,
        record.credits,
        record.total_ms,
    )
