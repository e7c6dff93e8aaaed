"""`settings list | get NAME | set NAME VALUE`: what can be changed while the gateway runs."""

from __future__ import annotations

from typing import Any

import click

from app.cli.group import Group, table
from app.services import services
from app.settings import SETTINGS, Setting, find

settings = Group("settings", help="Settings that can be changed while the gateway runs.")


@settings.command("list")
def list_() -> None:
    """All settings: value in force, default, meaning."""
    current = services().settings.current()
    rows = [
        (setting.name, shown(setting, getattr(current, setting.name)), shown(setting, setting.default), setting.help)
        for setting in SETTINGS
    ]
    click.echo(table(("NAME", "VALUE", "DEFAULT", "MEANING"), rows))


@settings.command()
@click.argument("name")
def get(name: str) -> None:
    """Print one setting's value in force."""
    setting = find(name)
    click.echo(shown(setting, services().settings.get(name)))


@settings.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("value")
def set_(name: str, value: str) -> None:
    """Store a value; workers follow within seconds. An empty VALUE unsets what may be unset."""
    services().settings.set(name, value)
    setting = find(name)
    click.echo(f"{name} = {shown(setting, services().settings.get(name))}")


def shown(setting: Setting, value: Any) -> str:
    """A value as text; a secret only says that it is there."""
    if value is None:
        return ""
    if setting.secret:
        return "(set)"
    return f"{value:g}" if isinstance(value, float) else str(value)
