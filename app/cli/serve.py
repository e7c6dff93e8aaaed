"""`serve`, which `make run` calls: say how things stand and what to do next, then become gunicorn.

The database is ready by then (`create_app` prepares it). Without any key one is made and shown, once: the database keeps only
its hash.
"""

from __future__ import annotations

import os
import sys

import click
from flask.cli import with_appcontext
from sqlalchemy import func, select

from app import storage
from app.errors import GatewayError
from app.services import services
from app.storage.tables import CredentialRow
from config import ROOT, Config

FLASK = ".venv/bin/flask --app wsgi"
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


@click.command("serve")
@with_appcontext
def serve() -> None:
    """Start the gateway, with a key and a word on what to do next."""
    config = services().config
    try:
        token = _token(config)
        credentials = _count_credentials()
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    click.echo(_next_step(credentials))
    click.echo(f"\nListening on {address(config)}. For Claude Code:\n")
    click.echo(f"  export ANTHROPIC_BASE_URL={address(config)} ANTHROPIC_AUTH_TOKEN={token}\n")
    sys.stdout.flush()
    become_gunicorn()


def become_gunicorn() -> None:
    """Replace this process; gunicorn.conf.py is found in the project's folder."""
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "wsgi:app"])  # noqa: S606 - no shell is wanted


def address(config: Config) -> str:
    """Where clients reach the gateway from this machine, or from outside when that is known."""
    if config.public_base_url is not None:
        return config.public_base_url
    host = "127.0.0.1" if config.host in ANY_ADDRESS else config.host
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"


def _token(config: Config) -> str:
    """What to put into ANTHROPIC_AUTH_TOKEN: the new key in clear, else words for one that is known to the user only."""
    if config.api_key is not None:
        click.echo("API key: the API_KEY of the environment or .env.\n")
        return "'<your API_KEY>'"
    key = services().keys.create_first("made by make run")
    if key is None:
        click.echo(f"API key: the one shown at the first start; {FLASK} keys create NAME makes another.\n")
        return "'<your key>'"
    click.echo(f"API key: {key}\n  Clients send it as x-api-key or as a Bearer token. Keep it: it is not shown again.\n")
    return key


def _count_credentials() -> int:
    with storage.reading() as session:
        return session.scalar(select(func.count()).select_from(CredentialRow)) or 0


def _next_step(credentials: int) -> str:
    if credentials:
        return f"Kiro credentials: {credentials} (see {FLASK} credentials list)"
    return (
        "There is no Kiro credential yet. Add one:\n"
        f"  {FLASK} credentials import ~/.aws/sso/cache/kiro-auth-token.json   # the login of Kiro IDE on this machine\n"
        f"  {FLASK} credentials add                                            # paste a refresh token"
    )
