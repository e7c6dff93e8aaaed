"""`usage [ID]`: the credits of each login, part by part."""

from __future__ import annotations

from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from app.cli.group import instant, table
from app.credentials.credential import Credential
from app.credentials.rounds import LOOKED_AT
from app.errors import GatewayError
from app.kiro.usage import BASE, Usage, restore
from app.services import services

HEAD = ("ID", "NAME", "E-MAIL", "PLAN", "PART", "USED", "LIMIT", "LEFT", "UNTIL", "SEEN")
Row = tuple[object, ...]


@click.command("usage")
@click.argument("id_", metavar="[ID]", type=int, required=False)
@click.option("--stored", is_flag=True, help="Only what was seen last; Kiro is not asked.")
@with_appcontext
def usage(id_: int | None, *, stored: bool) -> None:
    """What each login has used of its plan, its trial and its bonuses. Asking costs no credits."""
    try:
        asked = _wanted(id_)
        failed = [] if stored else [each.id for each in asked if (id_ or each.state in LOOKED_AT) and not _look(each)]
        click.echo(table(HEAD, [row for each in _wanted(id_) for row in _rows(each)]))
        if (at := services().usage.looked_at()) is not None:
            click.echo(f"\nThe gateway looked at all of them last at {instant(at)}.")
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    if failed:
        raise click.ClickException(f"{len(failed)} could not be asked; shown is what was seen last")


def _wanted(id_: int | None) -> list[Credential]:
    found = [each for each in services().store.all(fresh=True) if id_ in (None, each.id)]
    if not found:
        which = "no Kiro credential is stored" if id_ is None else f"there is no credential {id_}"
        raise click.ClickException(f"{which}; see `flask --app wsgi credentials list`")
    return found


def _look(credential: Credential) -> bool:
    """Ask Kiro now; False, and a line about why, when it does not tell."""
    try:
        services().usage.look(credential)
    except GatewayError as error:
        click.echo(f"credential {credential.id}: {error.message}", err=True)
        return False
    return True


def _rows(credential: Credential) -> Iterator[Row]:
    """Its parts, their sum when there are several, and what goes beyond them."""
    seen = restore(credential.usage)
    who: Row = (credential.id, credential.name, credential.email, credential.subscription_title)
    if seen is None or not seen.parts:
        yield (*who, "not seen yet", None, None, None, None, instant(credential.usage_at))
        return
    for part in seen.parts:
        ends = f"reset {instant(seen.reset_at)}" if part.kind == BASE and seen.reset_at else instant(part.expires_at)
        left = max(part.limit - part.used, 0.0)
        yield (*who, part.name, _credits(part.used), _credits(part.limit), _credits(left), ends, instant(credential.usage_at))
        who = (None, None, None, None)
    if len(seen.parts) > 1:
        sums = (_credits(seen.used), _credits(seen.limit), _credits(seen.remaining), f"{seen.percent:.0f} % used")
        yield (*who, "together", *sums, None)
    if seen.overage_status:
        beyond = (_credits(seen.overage_used), _credits(seen.overage_cap), None, _cost(seen))
        yield (*who, f"overage {seen.overage_status.lower()}", *beyond, None)


def _cost(seen: Usage) -> str | None:
    """What overage has cost."""
    if seen.overage_charges is None:
        return None
    return " ".join(filter(None, (f"{seen.overage_charges:.2f}", seen.currency, "so far")))


def _credits(amount: float | None) -> str | None:
    return None if amount is None else f"{amount:.2f}".rstrip("0").rstrip(".")
