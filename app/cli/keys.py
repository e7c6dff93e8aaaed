"""`keys list|create|disable`: the keys clients present."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from app.cli.table import instant, show
from app.services import services

keys = AppGroup("keys", help="Client keys. The environment's API_KEY is always valid besides these.")


@keys.command("list")
def list_keys() -> None:
    """All keys, without the keys themselves."""
    rows = services().keys.all()
    show(
        ("id", "name", "ends in", "enabled", "made", "expires"),
        [(row.id, row.name, row.last4, row.enabled, instant(row.created_at), instant(row.expires_at)) for row in rows],
    )


@keys.command("create")
@click.argument("name")
def create_key(name: str) -> None:
    """Make a key and print it; it is not shown again."""
    click.echo(services().keys.create(name))


@keys.command("disable")
@click.argument("id_", metavar="ID", type=int)
def disable_key(id_: int) -> None:
    """Stop accepting a key, within two seconds everywhere."""
    if not services().keys.disable(id_):
        raise click.ClickException(f"there is no key {id_}; list them with `flask --app wsgi keys list`")
    click.echo(f"key {id_} is disabled")
