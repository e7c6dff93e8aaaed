"""`credentials import`: the logins of files and folders, of what is pasted, or of the programs on this machine."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from flask.cli import with_appcontext

from app.cli.group import table
from app.credentials.credential import InvalidLogin, Login
from app.credentials.importers import Import, Source, Verdict, read_paths, read_text, usual_places
from app.services import services

HEAD = ("FILE", "ENTRY", "NAME", "KIND", "PROVIDER", "REGION", "OUTCOME", "CREDENTIAL", "NOTE")
STANDARD_INPUT = Path("-")

Report = Sequence[tuple[Source, Sequence[Verdict]]]


@click.command("import")
@click.argument("paths", metavar="[PATH]…", nargs=-1, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--yes", is_flag=True, help="Do not ask, where no PATH is given.")
@with_appcontext
def import_logins(paths: tuple[Path, ...], *, dry_run: bool, yes: bool) -> None:
    """Take over logins from files, which are never written.

    PATH is a file, a folder, or - for text that is pasted: the Kiro IDE's token file, the database of kiro-cli or the Amazon Q
    CLI, the export of an account manager or another gateway, base64 of JSON, refresh tokens or API keys. Without a PATH the
    usual places of the Kiro IDE, kiro-cli and the Amazon Q CLI are looked at, and you are asked before anything is stored.

    Of a login that a running Kiro IDE or kiro-cli uses as well, one of the two loses its token sooner or later: sign in a
    second time for the gateway.
    """
    sources = _named(paths) if paths else _on_this_machine()
    if not paths and not dry_run and not yes and not _agreed(sources):
        return
    report = _bring_in(sources, dry_run=dry_run)
    _show(report, dry_run=dry_run)
    if not any(verdicts or source.problem for source, verdicts in report):
        raise click.ClickException("there is no entry in it")
    if not any(verdict.outcome != "problem" for _, verdicts in report for verdict in verdicts):
        raise click.ClickException("none of these entries can be used; the notes say what each lacks")


def _named(paths: Sequence[Path]) -> list[Source]:
    sources = read_paths(path for path in paths if path != STANDARD_INPUT)
    return [*sources, _pasted()] if STANDARD_INPUT in paths else sources


def _pasted() -> Source:
    if sys.stdin.isatty():
        click.echo("Paste it, then press Enter and Ctrl-D.", err=True)
    try:
        return Source(None, read_text(sys.stdin.read()))
    except UnicodeDecodeError:
        return Source(None, problem="what was pasted is no text")
    except InvalidLogin as error:
        return Source(None, problem=f"what was pasted cannot be used: {error.message}")


def _on_this_machine() -> list[Source]:
    sources = read_paths(usual_places(Path.home()))
    if not sources:
        raise click.ClickException(
            "no login of the Kiro IDE, kiro-cli or the Amazon Q CLI is in its usual place: name a file, or - to paste one"
        )
    return sources


def _agreed(sources: Sequence[Source]) -> bool:
    """Whether what was found is to be stored; not asked when nothing would change."""
    report = _bring_in(sources, dry_run=True)
    if not any(verdict.outcome in {"new", "replaced"} for _, verdicts in report for verdict in verdicts):
        return True
    _show(report, dry_run=True)
    return click.confirm("Store what is new?")


def _bring_in(sources: Sequence[Source], *, dry_run: bool) -> Report:
    imports = Import(services().store, dry_run=dry_run)
    return [(each, imports.take(each.entries, None if each.path is None else str(each.path.absolute()))) for each in sources]


def _show(report: Report, *, dry_run: bool) -> None:
    times = Counter(source.path.name for source, _ in report if source.path is not None)
    lines: list[tuple[object, ...]] = []
    for source, verdicts in report:
        path = source.path
        name = "pasted" if path is None else path.name if times[path.name] == 1 else f"{path.parent.name}/{path.name}"
        if source.problem is not None:
            lines.append((name, *[None] * 5, "problem", None, source.problem))
        lines += [(name, *_cells(verdict, dry_run=dry_run)) for verdict in verdicts]
    if lines:
        click.echo(table(HEAD, lines))


def _cells(verdict: Verdict, *, dry_run: bool) -> tuple[object, ...]:
    login, outcome = verdict.login, verdict.outcome
    if dry_run and outcome in {"new", "replaced"}:
        outcome = f"would be {outcome}"
    who = (
        (verdict.name, None, None, None)
        if login is None
        else (_shown_name(login), login.kind, login.provider, login.auth_region)
    )
    return (verdict.index + 1, *who, outcome, verdict.id, verdict.note)


def _shown_name(login: Login) -> str:
    return f"{login.label} ({login.email})" if login.label and login.email else login.name
