"""`credentials add|list|import|remove|enable|disable`: Kiro logins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from app.cli.table import instant, show
from app.credentials.credential import InvalidCredential
from app.credentials.importers import Verdict, import_entries, parse_entry, read_file
from app.credentials.lifecycle import Happening
from app.credentials.scheduler import standing_of
from app.credentials.store import DuplicateCredential
from app.services import services

credentials = AppGroup("credentials", help="Kiro logins.")


@credentials.command("list")
def list_credentials() -> None:
    """All logins and how they stand; tokens are never shown."""
    now = services().clock()
    rows = []
    for each in services().store.all(fresh=True):
        standing = standing_of(each, now)
        rows.append(
            (
                each.id,
                each.kind,
                each.label,
                standing.state.value,
                instant(standing.until),
                standing.reason,
                instant(each.expires_at),
                each.auth_region,
                each.priority,
            )
        )
    show(("id", "kind", "login", "state", "until", "why", "token until", "region", "priority"), rows)
    if not rows:
        click.echo("None yet: `flask --app wsgi credentials import FILE` or `flask --app wsgi credentials add`.")


@credentials.command("add")
@click.option("--kind", type=click.Choice(["social", "idc", "api_key"]), help="Found out from what is given when left out.")
@click.option("--refresh-token", help="- reads it from standard input, so that it stays out of the shell's history.")
@click.option("--client-id", help="IdC and Builder ID only.")
@click.option("--client-secret", help="IdC and Builder ID only.")
@click.option("--api-key", help="A Kiro API key (ksk_…); - reads it from standard input.")
@click.option("--region", help="Where its tokens are refreshed.  [default: us-east-1]")
@click.option("--api-region", help="Where chats go, when the profile ARN does not say it.")
@click.option("--profile-arn", help="A real profile ARN, if the login has one.")
@click.option("--priority", type=int, default=0, show_default=True, help="Lower is chosen first.")
@click.option("--email", help="A name to tell it by.")
@click.option("--proxy-url", help="Proxy for this login; `direct` goes around the general one.")
def add_credential(kind: str | None, refresh_token: str | None, api_key: str | None, **options: Any) -> None:
    """Store one login. Its token is refreshed on first use."""
    if refresh_token is None and api_key is None:
        refresh_token = click.prompt("Refresh token", hide_input=True)
    entry = {
        "authMethod": kind,
        "refreshToken": _from_stdin(refresh_token),
        "kiroApiKey": _from_stdin(api_key),
        **{name: value for name, value in options.items() if value is not None},
    }
    try:
        id_ = services().store.add(**parse_entry(entry))
    except (InvalidCredential, DuplicateCredential) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"stored as credential {id_}")


@credentials.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def import_file(file: Path, *, dry_run: bool) -> None:
    """Take over the logins of a file: Kiro IDE token file, or kiro.rs credentials. The file is never written.

    A login that a running Kiro IDE uses as well rotates away from one of the two: sign in a second time for the gateway.
    """
    try:
        verdicts = import_entries(read_file(file), services().store, source=str(file.absolute()), dry_run=dry_run)
    except InvalidCredential as error:
        raise click.ClickException(str(error)) from None
    show(("entry", "kind", "region", "outcome", "credential", "problem"), [_line(verdict) for verdict in verdicts])
    if verdicts and all(verdict.problem for verdict in verdicts):
        raise click.ClickException("nothing in this file can be used")


@credentials.command("remove")
@click.argument("id_", metavar="ID", type=int)
def remove_credential(id_: int) -> None:
    """Delete a login."""
    if not services().store.remove(id_):
        raise _unknown(id_)
    click.echo(f"credential {id_} is removed")


@credentials.command("enable")
@click.argument("id_", metavar="ID", type=int)
def enable_credential(id_: int) -> None:
    """Use a login again, whatever had put it out."""
    if services().store.happened(id_, Happening.OPERATOR_ENABLED) is None:
        raise _unknown(id_)
    click.echo(f"credential {id_} is ready")


@credentials.command("disable")
@click.argument("id_", metavar="ID", type=int)
def disable_credential(id_: int) -> None:
    """Do not use a login until it is enabled."""
    if services().store.happened(id_, Happening.OPERATOR_DISABLED) is None:
        raise _unknown(id_)
    click.echo(f"credential {id_} is disabled")


def _unknown(id_: int) -> click.ClickException:
    return click.ClickException(f"there is no credential {id_}; list them with `flask --app wsgi credentials list`")


def _from_stdin(value: str | None) -> str | None:
    return click.get_text_stream("stdin").readline().strip() if value == "-" else value


def _line(verdict: Verdict) -> tuple[object, ...]:
    return (verdict.index, verdict.kind, verdict.region, verdict.outcome, verdict.id, verdict.problem)
