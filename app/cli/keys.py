"""`keys list | create NAME | disable ID`: the API keys of clients. A key is shown once, when it is made."""

from __future__ import annotations

import time

import click

from app.cli.group import Group, table
from app.cli.records import when
from app.services import services
from app.storage.tables import ApiKeyRow

keys = Group("keys", help="API keys that clients present.")


@keys.command("list")
def list_() -> None:
    """All keys made here; of each only the last four characters are known."""
    rows = [(row.id, row.name, f"…{row.last4}", state(row), when(row.created_at)) for row in services().keys.all()]
    if rows:
        click.echo(table(("ID", "NAME", "KEY", "STATE", "MADE"), rows))
    else:
        click.echo("No key has been made here: `keys create NAME` makes one.")
    if services().config.api_key is not None:
        click.echo("The API_KEY of the environment is accepted as well.")


@keys.command()
@click.argument("name")
def create(name: str) -> None:
    """Make a key and print it; it is not shown again."""
    click.echo(services().keys.create(name))
    click.echo("Keep it: only its hash is stored, it cannot be shown again.", err=True)


@keys.command()
@click.argument("key_id", type=int, metavar="ID")
def disable(key_id: int) -> None:
    """Stop accepting a key; workers follow within seconds."""
    if not services().keys.disable(key_id):
        raise click.ClickException(f"there is no key {key_id}; `keys list` shows them")
    click.echo(f"Key {key_id} is disabled.")


def state(row: ApiKeyRow) -> str:
    """In one word whether the key is accepted."""
    if not row.enabled:
        return "disabled"
    return "expired" if row.expires_at is not None and row.expires_at <= time.time() else "enabled"
