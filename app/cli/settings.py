"""`settings list|get|set`: run-time settings."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from app.cli.table import show
from app.services import services
from app.settings import SETTINGS, SettingError, find

settings = AppGroup("settings", help="Run-time settings; a change is in force within two seconds, everywhere.")


@settings.command("list")
def list_settings() -> None:
    """All settings with their values."""
    show(
        ("setting", "value", "default", "what it is"),
        [(each.name, _shown(each.name), each.default, each.help) for each in SETTINGS],
    )


@settings.command("get")
@click.argument("name")
def get_setting(name: str) -> None:
    """One setting's value."""
    try:
        find(name)
    except SettingError as error:
        raise click.ClickException(error.message) from None
    click.echo(_shown(name))


@settings.command("set")
@click.argument("name")
@click.argument("value")
def set_setting(name: str, value: str) -> None:
    """Store a value; an empty one ("") clears a setting that may be empty."""
    try:
        services().settings.set(name, value)
    except SettingError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"{name} is {_shown(name)}")


def _shown(name: str) -> Any:
    value = services().settings.get(name)
    if value is None:
        return ""
    return "(set, not shown)" if find(name).secret else value
