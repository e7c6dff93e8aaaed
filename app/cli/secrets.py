"""`rotate-secrets`: everything that is stored sealed, sealed anew with the first key."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.errors import GatewayError
from app.storage.engine import engine
from app.storage.sealing import Rotation, rotate


@click.command("rotate-secrets")
@with_appcontext
def rotate_secrets() -> None:
    """Seal tokens, sign-ins and secret settings anew with the first of KIRO_SECRET_KEYS.

    Changing the key takes three steps, while the gateway goes on answering:

    \b
    1. Put the new key in front: KIRO_SECRET_KEYS=NEW,OLD (make one with
       `openssl rand -hex 32`), and restart every gateway.
    2. Run this command, with the same KIRO_SECRET_KEYS.
    3. Take the old key out, KIRO_SECRET_KEYS=NEW, and restart every gateway.

    Without KIRO_SECRET_KEYS the key is the file data.db.key beside the database. To move away from it, set
    KIRO_SECRET_KEYS=NEW in step 1 and delete the file in step 3.

    Killed half-way it leaves everything readable, as long as both keys are there: run it again.
    """
    try:
        done = rotate(engine())
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    click.echo(_told(done))
    for place in done.unreadable:
        click.echo(f"{place} opens with none of the present keys and was left as it is", err=True)


def _told(done: Rotation) -> str:
    already = f", {done.current} had been before" if done.current else ""
    return f"{done.resealed} secrets are sealed with the first key now{already}"
