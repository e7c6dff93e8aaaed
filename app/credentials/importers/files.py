"""Files and folders with logins, and where they usually are.

In: paths. Out: entries, joined with what stands in other files: a client registration beside a token file, the profile chosen
in the IDE, the files that a list of kiro-gateway names. What a file is, its first bytes say. Files are never written.
Source: protocol 9.1, 9.2, 9.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from app.credentials.credential import InvalidLogin
from app.credentials.importers.entry import Entry, Found, Values, read_entry
from app.credentials.importers.kiro_cli import FIRST_BYTES, read_database
from app.credentials.importers.shapes import IDE_SHARED, path_of, profile_choice, registration_name, with_registration
from app.credentials.importers.text import parse_json, parse_text

LARGEST_BYTES = 32 << 20
LARGEST_PROFILE_BYTES = 4096
# What is looked for in a folder: of the Kiro IDE and CLIProxyAPI, kiro.rs, kiro-cli and Amazon Q, AIClient-2-API.
KNOWN_NAMES = ("kiro-*.json", "credentials.json", "data.sqlite3", "*/data.sqlite3", "*_kiro-auth-token/*.json")
IDE_FILE = ".aws/sso/cache/kiro-auth-token.json"
DATABASES = ("kiro-cli/data.sqlite3", "amazon-q/data.sqlite3")
PROFILE = "Kiro/User/globalStorage/kiro.kiroagent/profile.json"
DATA_FOLDERS = (".local/share", "Library/Application Support")
PROFILE_FOLDERS = (".config", "Library/Application Support", "AppData/Roaming")
# Of a list of kiro-gateway, what it says about the login in another file.
LISTED = ("profilearn", "region", "apiregion", "enabled")


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its entries, or the problem that keeps all of it out. path: None for what was pasted."""

    path: Path | None
    entries: Sequence[Entry] = ()
    problem: str | None = None


def read_file(path: Path) -> list[Entry]:
    """The entries of a file. Raises InvalidLogin for the whole file."""
    return _numbered(_found_in(path))


def read_paths(paths: Iterable[Path]) -> list[Source]:
    """What is in each file, also of folders; a profile chosen in the IDE goes to the IDE's login, wherever it is named."""
    files = [file for path in paths for file in _files_of(path)]
    chosen = {file: arn for file in files if (arn := _profile_choice(file))}
    profile_arn = next(iter(chosen.values()), None)
    return [_source(file, profile_arn) for file in files if file not in chosen]


def usual_places(home: Path) -> list[Path]:
    """The files of the Kiro IDE, kiro-cli and the Amazon Q CLI that this machine has."""
    databases = [home / folder / name for folder in DATA_FOLDERS for name in DATABASES]
    profiles = [home / folder / PROFILE for folder in PROFILE_FOLDERS]
    return [path for path in (home / IDE_FILE, *databases, *profiles) if path.is_file()]


def _source(file: Path, profile_arn: str | None) -> Source:
    try:
        found = _found_in(file)
    except InvalidLogin as error:
        return Source(file, problem=error.message)
    return Source(file, _numbered([_with_profile(each, profile_arn) for each in found]))


def _numbered(found: Iterable[Found]) -> list[Entry]:
    return [read_entry(index, each) for index, each in enumerate(found)]


def _files_of(path: Path) -> Iterator[Path]:
    """The file itself; of a folder every file with a name that is known, or the folder, which then is the problem."""
    try:
        known = sorted({file for name in KNOWN_NAMES for file in path.glob(name) if file.is_file()}) if path.is_dir() else []
    except OSError:  # reading it will say the same
        known = []
    yield from known or [path]


def _found_in(path: Path, *, may_name_others: bool = True) -> list[Found]:
    try:
        if path.is_dir():
            raise InvalidLogin(f"{path.name} is a folder without a file that is known: name the file itself")
        with path.open("rb") as file:  # it is read once: it may be a pipe
            content = file.read(len(FIRST_BYTES))
            if content == FIRST_BYTES:
                return read_database(path.resolve())
            content += file.read(LARGEST_BYTES)
    except OSError as error:
        raise InvalidLogin(f"{path.name} cannot be read: {error.strerror}") from None
    found = _parsed(path.name, content)
    return [each for entry in found for each in _whole(entry, path.parent, may_name_others=may_name_others)]


def _parsed(name: str, content: bytes) -> list[Found]:
    if len(content) > LARGEST_BYTES:
        raise InvalidLogin(f"{name} is larger than any list of logins")
    try:
        return parse_text(content.decode())
    except UnicodeDecodeError:
        raise InvalidLogin(f"{name} is neither text nor a database") from None
    except InvalidLogin as error:
        raise InvalidLogin(f"{name} cannot be used: {error.message}") from None


def _whole(entry: Found, folder: Path, *, may_name_others: bool) -> list[Found]:
    """An entry with what other files have of it."""
    other = path_of(entry) if may_name_others else None
    if other is None:
        return [entry if entry.problem else replace(entry, values=_with_registration(entry.values, folder))]
    listed = {name: entry.values[name] for name in LISTED if entry.values.get(name) not in (None, "")}
    try:
        found = _found_in(folder / Path(other).expanduser(), may_name_others=False)
    except (InvalidLogin, ValueError, RuntimeError) as error:  # also a path that no file can have, or a ~name that is nobody
        problem = error.message if isinstance(error, InvalidLogin) else "the path it names is none"
        return [Found({}, problem)]
    return [replace(each, values={**each.values, **listed}) for each in found]


def _with_registration(values: Values, folder: Path) -> Values:
    """An IDE token file names its client registration by hash; it stands in the same folder."""
    try:
        name = registration_name(values)
        if name is None:
            return values
        return with_registration(values, orjson.loads((folder / f"{Path(name).name}.json").read_bytes()))
    except (OSError, ValueError, InvalidLogin):  # what is missing or wrong, reading the entry says
        return values


def _with_profile(found: Found, profile_arn: str | None) -> Found:
    if profile_arn is None or IDE_SHARED not in found.notes or found.values.get("profilearn"):
        return found
    return replace(found, values={**found.values, "profilearn": profile_arn})


def _profile_choice(file: Path) -> str | None:
    """What a small file names; of a pipe, which can be read only once, nothing is read."""
    try:
        small = file.is_file() and file.stat().st_size < LARGEST_PROFILE_BYTES
        return profile_choice(parse_json(file.read_text())) if small else None
    except (OSError, ValueError):
        return None
