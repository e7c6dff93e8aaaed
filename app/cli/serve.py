"""`serve`: what `make run` starts. Sees that there is a key, says what to do next, then becomes gunicorn."""

from __future__ import annotations

import os
import sys

import click
from flask.cli import with_appcontext

from app.services import services


@click.command("serve")
@with_appcontext
def serve() -> None:
    """Start the gateway; makes a first key when there is none."""
    here = services()
    host, port = here.config.host, here.config.port
    address = here.config.public_base_url or f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104
    key = None if here.keys.any() else here.keys.create_first("made by make run")
    if key is not None:
        click.echo(f"\nA new API key, shown only this once:\n\n  {key}\n")
    stored, usable = len(here.store.all()), here.pool.usable_count()
    click.echo(f"kiro-py answers at {address}   (how it stands: {address}/admin)\n")
    click.echo("Claude Code and the SDKs:\n")
    click.echo(f"  export ANTHROPIC_BASE_URL={address} ANTHROPIC_AUTH_TOKEN={key or 'YOUR-KEY'}\n")
    if not stored:
        click.echo("Next: sign in to Kiro, or bring a login you have, in another terminal:\n")
        click.echo("  .venv/bin/flask --app wsgi login")
        click.echo("  .venv/bin/flask --app wsgi credentials import\n")
    else:
        click.echo(f"{usable} of {stored} Kiro logins can be used now. Stop with Ctrl-C.\n")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "wsgi:app"])  # noqa: S606
