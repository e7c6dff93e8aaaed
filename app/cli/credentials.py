"""`credentials add|set|list|import|remove|enable|disable`: Kiro logins."""

from __future__ import annotations

import sys
from typing import Any

import click

from app.cli.group import Group, instant, table
from app.cli.importing import import_logins
from app.credentials.credential import Credential, Login, remarks
from app.credentials.importers import parse_login
from app.credentials.lifecycle import Happening, OperatorDisabled, OperatorEnabled
from app.credentials.scheduler import credits_left, standing
from app.credentials.store import CredentialStore
from app.services import services

credentials = Group("credentials", help="Kiro logins.")
credentials.add_command(import_logins)

# What each kind cannot do without, what it is called when it is asked for, and whether it is typed unseen.
_NEEDED = {
    "social": (("refresh_token", "Refresh token", True),),
    "idc": (
        ("refresh_token", "Refresh token", True),
        ("client_id", "Client id", False),
        ("client_secret", "Client secret", True),
    ),
    "external_idp": (
        ("refresh_token", "Refresh token", True),
        ("client_id", "Client id", False),
        ("token_endpoint", "Token endpoint", False),
    ),
    "api_key": (("api_key", "Kiro API key (ksk_…)", True),),
}
_ENTRY_NAMES = {
    "kind": "authMethod",
    "refresh_token": "refreshToken",
    "client_id": "clientId",
    "client_secret": "clientSecret",
    "api_key": "kiroApiKey",
    "region": "region",
    "api_region": "apiRegion",
    "profile_arn": "profileArn",
    "start_url": "startUrl",
    "token_endpoint": "tokenEndpoint",
    "issuer_url": "issuerUrl",
    "scopes": "scopes",
    "provider": "provider",
    "email": "email",
    "label": "label",
    "machine_id": "machineId",
    "proxy_url": "proxyUrl",
    "priority": "priority",
}


@credentials.command("list")
def list_credentials() -> None:
    """All logins and how they stand; tokens are never shown."""
    stored = _store().all(fresh=True)
    if not stored:
        click.echo(
            "No Kiro credential is stored: sign in with `flask --app wsgi login`, "
            "or bring logins you have with `flask --app wsgi credentials import FILE`."
        )
        return
    head = ("ID", "NAME", "KIND", "STATE", "REGION", "PLAN", "LEFT", "PRIORITY", "TOKEN EXPIRES", "WHY")
    click.echo(table(head, [_line(each, services().clock()) for each in stored]))


@credentials.command("add")
@click.option("--kind", type=click.Choice(tuple(_NEEDED)), help="Found out from what is given when left out.")
@click.option("--refresh-token", help="Asked for when left out. As for every secret, - reads a line of standard input.")
@click.option("--client-id", help="IdC and Builder ID only.")
@click.option("--client-secret", help="IdC and Builder ID only; - reads a line of standard input.")
@click.option("--api-key", help="A Kiro API key (ksk_…); - reads a line of standard input.")
@click.option("--region", help="Where its tokens are refreshed.  [default: us-east-1]")
@click.option("--api-region", help="Where chats go, when the profile ARN does not say it.")
@click.option("--profile-arn", help="A real profile ARN, if the login has one.")
@click.option("--start-url", help="The start page of its Identity Center.")
@click.option("--token-endpoint", help="Where an external identity provider (Entra ID, Okta) trades tokens.")
@click.option("--issuer-url", help="The external identity provider itself.")
@click.option("--scopes", help="Of the external identity provider, with blanks between them.")
@click.option("--provider", help="Google, Github, BuilderId or Enterprise.")
@click.option("--email", help="Whose login it is.")
@click.option("--label", help="A name of your own for it.")
@click.option("--machine-id", help="Device it shows itself as; made from the token when left out.")
@click.option("--proxy-url", help="Proxy for this login; `direct` goes around the general one.")
@click.option("--priority", type=int, default=0, show_default=True, help="Lower is chosen first.")
@click.option("--replace", "replaced_id", type=int, metavar="ID", help="Give the new tokens to this credential instead.")
def add_credential(replaced_id: int | None, **options: Any) -> None:
    """Store one login. Its token is refreshed on first use.

    Secrets that are not given are asked for and not shown. A - keeps a secret out of the shell's history:
    `credentials add --kind api_key --api-key - < key.txt`
    """
    options["kind"] = options["kind"] or _kind(options)
    for name, value in options.items():
        options[name] = _line_of_input(name) if value == "-" else value
    for name, prompt, hidden in _NEEDED[options["kind"]]:
        if not options[name]:
            options[name] = click.prompt(prompt, hide_input=hidden)
    login = parse_login({_ENTRY_NAMES[name]: value for name, value in options.items() if value is not None})
    if replaced_id is None:
        click.echo(f"credential {_store().add(login)} is stored: {login.name}")
    else:
        _replace(replaced_id, login)
    for remark in remarks(login):
        click.echo(f"Note: {remark}", err=True)


@credentials.command("set")
@click.argument("id_", metavar="ID", type=int)
@click.option("--label", help="A name of your own for it.")
@click.option("--priority", type=int, help="Lower is chosen first (scheduling_mode fixed).")
@click.option("--max-concurrent", type=int, help="Requests it may answer at once, over the workers of one machine.")
@click.option("--proxy-url", help="Proxy for this login; `direct` goes around the general one.")
@click.option("--api-region", help="Where chats go, when no profile ARN says it.")
@click.option("--profile-arn", help="Its profile, where the one that was found is not the right one.")
def set_credential(id_: int, **options: Any) -> None:
    """Change how a login is used. An empty value ('') takes a setting away."""
    values = {name: None if value == "" else value for name, value in options.items() if value is not None}
    if not values:
        raise click.ClickException("nothing to change; see `flask --app wsgi credentials set --help`")
    if _store().change(_credential(id_).id, values) is None:
        raise click.ClickException(f"credential {id_} was removed at the same moment")
    click.echo(f"credential {id_} is changed: {', '.join(sorted(values))}")


@credentials.command("remove")
@click.argument("id_", metavar="ID", type=int)
def remove_credential(id_: int) -> None:
    """Delete a login and its tokens."""
    credential = _credential(id_)
    _store().remove(id_)
    click.echo(f"credential {id_} is removed")
    file = services().config.kiro_credentials_file
    if file is not None and (credential.import_source or "").startswith(f"{file.absolute()}#"):
        click.echo(f"Note: it stands in {file} and comes back at the next start unless it is taken out there.", err=True)


@credentials.command("enable")
@click.argument("id_", metavar="ID", type=int)
def enable_credential(id_: int) -> None:
    """Use a login again, whatever had put it out."""
    _happened(id_, OperatorEnabled())
    click.echo(f"credential {id_} is ready")


@credentials.command("disable")
@click.argument("id_", metavar="ID", type=int)
def disable_credential(id_: int) -> None:
    """Do not use a login until it is enabled."""
    _happened(id_, OperatorDisabled())
    click.echo(f"credential {id_} is disabled")


def _store() -> CredentialStore:
    return services().store


def _credential(id_: int) -> Credential:
    credential = _store().get(id_)
    if credential is None:
        raise click.ClickException(f"there is no credential {id_}; list them with `flask --app wsgi credentials list`")
    return credential


def _happened(id_: int, happening: Happening) -> None:
    _store().happened(_credential(id_).id, happening)


def _replace(id_: int, login: Login) -> None:
    before = _credential(id_)
    if not _store().sign_in_again(before, login):
        raise click.ClickException(f"credential {id_} was changed at the same moment; look at it and try again")
    after = _credential(id_)
    click.echo(f"credential {id_} has new tokens and {standing(after, services().clock())}: {after.name}")


def _kind(options: dict[str, Any]) -> str:
    if options["api_key"]:
        return "api_key"
    if options["token_endpoint"]:
        return "external_idp"
    return "idc" if options["client_id"] or options["client_secret"] else "social"


def _line_of_input(name: str) -> str:
    line = sys.stdin.readline().strip()
    if not line:
        raise click.ClickException(f"--{name.replace('_', '-')} - reads a line of standard input, and there was none")
    return line


def _line(credential: Credential, now: float) -> tuple[object, ...]:
    return (
        credential.id,
        credential.name,
        credential.kind,
        standing(credential, now).removeprefix("is "),
        credential.auth_region,
        credential.subscription_title,
        None if (left := credits_left(credential, now)) is None else f"{left:.1f}",
        credential.priority,
        "never" if credential.kind == "api_key" else instant(credential.expires_at) or "refreshed on first use",
        credential.state_reason,
    )
