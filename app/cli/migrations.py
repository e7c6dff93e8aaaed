"""`db …`: Flask-Migrate's commands, which are loaded, with Alembic, when one of them is asked for."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from app.storage import migrate


@click.command("db", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
@with_appcontext
def db(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Perform database migrations."""
    commands = migrate.load_alembic(current_app)
    with commands.make_context(context.info_name, list(arguments), parent=context.parent) as whole:
        commands.invoke(whole)
