"""`login builder-id|idc|social`: sign in to Kiro from a terminal, with a browser that may be on another machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, NoReturn

import click

from app.cli.group import Group
from app.credentials.login import LoginFlows, Wishes
from app.credentials.login_flow import LoginFlow, Status
from app.credentials.scheduler import standing
from app.kiro.sign_in import LANDINGS, PROVIDERS, SignInFailed
from app.services import services

LOOK_LOW_SECONDS, LOOK_HIGH_SECONDS = 0.2, 2.0
_WAYS = """\
Sign in to Kiro; the browser may be on another machine. There are three ways, by what you sign in to Kiro with:

  flask --app wsgi login builder-id   an AWS Builder ID
  flask --app wsgi login idc          your organisation's IAM Identity Center: its start URL and region are asked for
  flask --app wsgi login social       Google or GitHub (--provider github)

A login of another kind (Entra ID, Okta, a Kiro API key) is brought with `flask --app wsgi credentials import` or `… add`."""


@click.group("login", cls=Group, invoke_without_command=True)
@click.pass_context
def login(ctx: click.Context) -> None:
    """Sign in to Kiro with a browser."""
    if ctx.invoked_subcommand is None:
        click.echo(_WAYS)


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every way."""
    for option in (
        click.option("--proxy-url", help="Proxy for this login, from now on; `direct` goes around the general one."),
        click.option("--replace", "replaces", type=int, metavar="ID", help="Give the new tokens to this credential instead."),
        click.option("--label", help="A name of your own for it; with --replace the old one stays."),
    ):
        command = option(command)
    return command


@login.command("builder-id")
@_common
def sign_in_builder_id(**options: Any) -> None:
    """Sign in with an AWS Builder ID."""
    _with_code(Wishes(method="builder_id", **options))


@login.command("idc")
@click.option(
    "--start-url", prompt="Start URL of your organisation (https://NAME.awsapps.com/start)", help="Asked for when left out."
)
@click.option("--region", prompt="Region of its Identity Center (such as us-east-1)", help="Asked for when left out.")
@_common
def sign_in_idc(**options: Any) -> None:
    """Sign in with your organisation's IAM Identity Center."""
    _with_code(Wishes(method="idc", **options))


@login.command("social")
@click.option("--provider", type=click.Choice(tuple(PROVIDERS)), default="google", show_default=True)
@click.option(
    "--landing",
    type=click.Choice(tuple(LANDINGS)),
    default="localhost",
    show_default=True,
    help="Where the browser ends up; kiro needs a browser that shows kiro:// addresses.",
)
@_common
def sign_in_social(**options: Any) -> None:
    """Sign in with Google or GitHub."""
    wishes = Wishes(method="social", **options)
    flow = _logins().start(wishes)
    click.echo(f"Open this page in a browser and sign in with {PROVIDERS[wishes.provider]}:\n")
    click.echo(f"  {flow.shown['authorise_url']}\n")
    click.echo("At the end the browser shows a page that does not load: that is meant to be. Copy the whole address from its")
    click.echo(f"address bar ({LANDINGS[wishes.landing]}?code=…) and paste it here. Ctrl-C gives up.\n")
    _tell(_pasted(flow), wishes)


def _with_code(wishes: Wishes) -> None:
    """Show where to go, then wait until the person there has decided."""
    flow = _logins().start(wishes)
    with _interrupted() as interrupted:
        _show(flow)
        while flow.status is Status.WAITING:
            if interrupted.wait(min(max(flow.ask_in_seconds, LOOK_LOW_SECONDS), LOOK_HIGH_SECONDS)):
                _give_up(flow)
            flow = _logins().step(flow.id)
    _tell(flow, wishes)


def _show(flow: LoginFlow) -> None:
    minutes = round((flow.shown["expires_at"] - services().clock()) / 60)
    click.echo("Open this page in any browser, on any machine, and sign in:\n")
    click.echo(f"  {flow.shown['verification_url']}\n")
    click.echo(f"It shows or asks for the code {flow.shown['user_code']}, which is good for {minutes} minutes.")
    click.echo("Waiting for you to agree there; Ctrl-C gives up.\n")


@contextmanager
def _interrupted() -> Iterator[Event]:
    """An event that Ctrl-C sets: a KeyboardInterrupt would go through the event loop, which prints it."""
    interrupted = Event()
    before = signal.signal(signal.SIGINT, lambda _number, _frame: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _pasted(flow: LoginFlow) -> LoginFlow:
    """Ask for the address until it is the right one."""
    try:
        while flow.status is Status.WAITING:
            try:
                flow = _logins().complete(flow.id, click.prompt("Address"))
            except SignInFailed as error:
                click.echo(f"{error.message}.", err=True)
    except click.Abort:
        _give_up(flow)
    return flow


def _give_up(flow: LoginFlow) -> NoReturn:
    _logins().cancel(flow.id)
    raise click.ClickException("the sign-in was given up, nothing is stored")


def _tell(flow: LoginFlow, wishes: Wishes) -> None:
    """How it ended, and what to do next."""
    credential = None if flow.credential_id is None else services().store.get(flow.credential_id)
    if credential is None:
        raise click.ClickException(flow.problem or f"the sign-in is {flow.status}")
    if credential.id == wishes.replaces:
        click.echo(f"Signed in: credential {credential.id} has new tokens and {standing(credential, services().clock())}.")
    else:
        click.echo(f"Signed in: credential {credential.id} is stored: {credential.name}")
    click.echo("A gateway that runs uses it within seconds; `make run` starts one and shows what to tell your client.")


def _logins() -> LoginFlows:
    return services().logins
