"""`models [--refresh]`: the models that can be asked for, and which login has each."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from app.cli.group import instant, table
from app.credentials.credential import Credential
from app.credentials.rounds import LOOKED_AT
from app.errors import GatewayError
from app.services import services

HEAD = ("ID", "NAME", "CONTEXT", "OUTPUT", "PRICE", "LOGINS")


@click.command("models")
@click.option("--refresh", is_flag=True, help="Ask Kiro now; otherwise what was listed last is shown.")
@with_appcontext
def models(*, refresh: bool) -> None:
    """The models clients can ask for. PRICE is in credits for a usual request, LOGINS by their ids."""
    here = services()
    try:
        asked = [each for each in here.store.all(fresh=True) if each.state in LOOKED_AT] if refresh else []
        failed = [each.id for each in asked if not _look(each)]
        logins = [each for each in here.store.all(fresh=True) if not each.disabled]
        rows = [
            (model.id, model.name, model.context_tokens, model.max_output_tokens, model.rate, _who_has(model.id, logins))
            for model in here.catalogue()
        ]
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    click.echo(table(HEAD, rows))
    seen = [each.models_at for each in logins if each.models_at is not None]
    click.echo(f"\nKiro was asked last at {instant(max(seen))}." if seen else "\nKiro was not asked yet: these are built in.")
    if failed:
        raise click.ClickException(f"{len(failed)} could not be asked; shown is what was listed last")


def _look(credential: Credential) -> bool:
    """Ask Kiro now; False, and a line about why, when it does not tell."""
    try:
        services().models.look(credential)
    except GatewayError as error:
        click.echo(f"credential {credential.id}: {error.message}", err=True)
        return False
    return True


def _who_has(model: str, logins: list[Credential]) -> str:
    """The ids of the logins it was listed for; those nobody has seen the list of may have it too."""
    if all(each.models is None for each in logins):
        return "not seen yet"
    has = [str(each.id) for each in logins if each.models is not None and model in each.models]
    return " ".join([*has, *(f"{each.id}?" for each in logins if each.models is None)])
