"""`settings list|get|set`: run-time settings."""

from __future__ import annotations

import click

from app.cli.group import Group, table
from app.services import services
from app.settings import SETTINGS, find

settings = Group("settings", help="Run-time settings; a change is in force within two seconds, everywhere.")


@settings.command("list")
def list_settings() -> None:
    """All settings with their values."""
    rows = [(each.name, _shown(each.name), each.default, each.help) for each in SETTINGS]
    click.echo(table(("SETTING", "VALUE", "DEFAULT", "WHAT IT IS"), rows))


@settings.command("get")
@click.argument("name")
def get_setting(name: str) -> None:
    """One setting's value; a secret one is not shown."""
    click.echo(_shown(name))


@settings.command("set")
@click.argument("name")
@click.argument("value")
def set_setting(name: str, value: str) -> None:
    """Store a value; an empty one ("") clears a setting that may be empty."""
    services().settings.set(name, value)
    click.echo(f"{name} is {_shown(name) or 'empty'}")


def _shown(name: str) -> str:
    value = services().settings.get(name)
    if value is None:
        return ""
    return "(set, not shown)" if find(name).secret else str(value)
