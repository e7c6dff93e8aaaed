"""`doctor [ID]` and `credentials test-proxy`: tries what a request would do, step by step."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.cli.credentials import credentials as credentials_group
from app.credentials.credential import PROXY_SCHEMES, Credential
from app.credentials.scheduler import standing
from app.doctor import CHAT_COSTS, FAILED, Bundle, Seen, Step
from app.errors import GatewayError
from app.services import services

LAST_RECORDS = 20


@click.command("doctor")
@click.argument("id_", metavar="[ID]", type=int, required=False)
@click.option("--no-chat", is_flag=True, help="Leave out the step that costs credits.")
@click.option(
    "--bundle",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all that helps to find the fault into this file, without any token, key, password or whole e-mail address.",
)
@with_appcontext
def doctor(id_: int | None, *, no_chat: bool, file: Path | None) -> None:
    """Try token, profile, models, usage and a word of chat of each login, and say what to do about what fails."""
    try:
        chosen = _chosen(id_)
        if chosen and not no_chat:
            click.echo(f"{CHAT_COSTS}\n")
        steps = {each.id: _examine(each, chat=not no_chat) for each in chosen}
        if file is not None:
            _write(file, steps)
            click.echo(f"{file} is written; look through it before you send it to somebody.")
    except GatewayError as error:
        raise click.ClickException(error.message) from error
    failed = sum(step.outcome == FAILED for each in steps.values() for step in each)
    if failed:
        raise click.ClickException(f"{failed} steps failed" if failed > 1 else "a step failed")
    if not chosen:
        raise click.ClickException("no Kiro credential is stored; see `flask --app wsgi credentials list`")


@credentials_group.command("test-proxy")
@click.argument("which", metavar="URL|ID")
def test_proxy(which: str) -> None:
    """Try the way to Kiro through a proxy, or as a credential would take it. Nothing secret is sent."""
    if which.isascii() and which.isdigit():
        step = services().doctor.try_way(_chosen(int(which))[0].proxy_url)
    elif which == "direct" or which.startswith(PROXY_SCHEMES):
        step = services().doctor.try_way(which)
    else:
        raise click.ClickException(f"a proxy is a URL that starts with {', '.join(PROXY_SCHEMES)}, or the word direct")
    _show(step)
    if step.outcome == FAILED:
        raise click.ClickException("Kiro is not reached this way")


def _chosen(id_: int | None) -> list[Credential]:
    found = [each for each in services().store.all(fresh=True) if id_ in (None, each.id)]
    if id_ is not None and not found:
        raise click.ClickException(f"there is no credential {id_}; list them with `flask --app wsgi credentials list`")
    return found


def _examine(credential: Credential, *, chat: bool) -> Sequence[Step]:
    """Each step is shown as soon as it is done."""
    click.echo(f"credential {credential.id}, {credential.name}, {credential.kind}: {standing(credential, services().clock())}")
    steps = []
    for step in services().doctor.examine(credential, chat=chat):
        _show(step)
        steps.append(step)
    click.echo()
    return steps


def _show(step: Step) -> None:
    click.echo(f"  {step.outcome:<8}{step.name:<9}{' '.join(step.said.split())}")
    for call in step.calls:
        click.echo(f"  {'':<17}{_call(call)}")
    if step.hint:
        click.echo(f"  {'':<17}→ {step.hint}")


def _call(call: Seen) -> str:
    answer = "no answer" if call.status is None else f"status {call.status}"
    return f"{call.host}{f' ({call.region})' if call.region else ''}, proxy {call.proxy}: {answer}, {call.ms} ms"


def _write(file: Path, steps: dict[int, Sequence[Step]]) -> None:
    """Only its owner may read it: what it says of the accounts is nobody else's business."""
    here = services()
    here.ledger.flush(1.0)
    document = Bundle(
        config=here.config,
        settings=here.settings.current(),
        credentials=here.store.all(fresh=True),
        steps=steps,
        records=here.ledger.latest(LAST_RECORDS),
    ).as_json()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        os.fchmod(descriptor, 0o600)  # of a file that was there before
        json.dump(document, opened, indent=2, ensure_ascii=False)
