"""`keys list|create|disable`: the keys clients present."""

from __future__ import annotations

import time

import click

from app.access.api_keys import KeyRing
from app.cli.group import Group, instant, table
from app.services import services
from app.storage.tables import ApiKeyRow

keys = Group("keys", help="Client keys. The environment's API_KEY is always valid besides these.")


@keys.command("list")
def list_keys() -> None:
    """All keys, without the keys themselves."""
    rows = _ring().all()
    if not rows:
        click.echo("No key is stored: make one with `flask --app wsgi keys create NAME`.")
        return
    lines = [(row.id, row.name, f"…{row.last4}", _standing(row), instant(row.created_at)) for row in rows]
    click.echo(table(("ID", "NAME", "KEY", "STATE", "MADE"), lines))


@keys.command("create")
@click.argument("name")
def create_key(name: str) -> None:
    """Make a key and print it; it is not shown again."""
    # The key alone is standard output, so that KEY=$(… keys create NAME) works.
    click.echo(_ring().create(name))
    click.echo("Keep it now: only its hash is stored, and it is not shown again.", err=True)


@keys.command("disable")
@click.argument("id_", metavar="ID", type=int)
def disable_key(id_: int) -> None:
    """Stop accepting a key, within two seconds everywhere."""
    if not _ring().disable(id_):
        raise click.ClickException(f"there is no key {id_}; list them with `flask --app wsgi keys list`")
    click.echo(f"key {id_} is disabled")


def _ring() -> KeyRing:
    return services().keys


def _standing(row: ApiKeyRow) -> str:
    if not row.enabled:
        return "disabled"
    if row.expires_at is None:
        return "valid"
    return f"{'valid until' if row.expires_at > time.time() else 'expired'} {instant(row.expires_at)}"
