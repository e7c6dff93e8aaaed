"""Seals what is still plain, and everything anew with another key.

Secrets stand in every `SealedText` column and in the values of the settings named in `SECRET_SETTINGS`. A database that was
written by hand or by an earlier state may hold plain ones: `finish` seals them at start, under the migration lock, and then
rewrites the SQLite file, because pages and the log still hold what was there before. Whether that is done stands in the file's
`user_version`, so that a start which was killed in between is finished by the next one.
What stands in PostgreSQL's old row versions goes with its own vacuum.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Engine, Table, Text, exists, or_, select, text, type_coerce, update
from sqlalchemy.orm import Session

from app.storage.engine import reading, transaction, wait_for_lock
from app.storage.secrets import KEY_ID_CHARACTERS, PREFIX, SealedText, SecretUnreadable, is_sealed, place, vault
from app.storage.tables import SECRET_SETTINGS, db

log = logging.getLogger(__name__)

SCRUBBED = 1
SCRUB_SECONDS = 10.0
_LOOKS_SEALED = f"{PREFIX}{'_' * KEY_ID_CHARACTERS}:%"


@dataclass(slots=True)
class Rotation:
    """What a rotation did. unreadable: the places whose value opens with none of the keys; they stay as they are."""

    resealed: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that holds secrets. only: in rows with these keys; None for every row."""

    table: Table
    name: str
    only: frozenset[str] | None = None

    @property
    def key(self) -> ColumnElement[object]:
        (key,) = self.table.primary_key.columns
        return key

    @property
    def value(self) -> ColumnElement[str]:
        return type_coerce(self.table.c[self.name], Text())  # as it stands: the column's own type refuses plain text

    @property
    def holds_a_secret(self) -> ColumnElement[bool]:
        there = self.value.is_not(None) & (self.value != "")
        return there if self.only is None else there & self.key.in_(self.only)

    @property
    def is_plain(self) -> ColumnElement[bool]:
        return self.holds_a_secret & self.value.not_like(_LOOKS_SEALED)

    def place(self, key: object) -> str:
        return place(self.table.name, key, self.name)

    def put(self, session: Session, key: object, secret: str) -> None:
        sealed = vault().seal(secret, self.place(key))
        session.execute(update(self.table).where(self.key == key).values({self.name: sealed}))


def is_finished(engine: Engine) -> bool:
    """Whether no secret is plain and none is left behind in the file. Cheap: one statement over small tables."""
    with reading() as session:
        return not _any_plain(session) and (engine.dialect.name != "sqlite" or _is_scrubbed(session))


def finish(engine: Engine) -> None:
    """Seal what is plain and leave no trace of it in an SQLite file; does nothing when there is nothing to do."""
    with transaction() as session:
        sealed = sum(_seal_plain(session, column) for column in _columns())
        if sealed and engine.dialect.name == "sqlite":
            session.execute(text("PRAGMA user_version = 0"))
    if sealed:
        log.warning("sealed %d secrets that stood in the database in clear", sealed)
    scrub(engine)


def rotate(engine: Engine) -> Rotation:
    """Seal every secret with the first key. Each in a transaction of its own: a crash leaves all of them readable."""
    done = Rotation()
    _mark(engine, 0)
    for column in _columns():
        with reading() as session:
            keys = session.scalars(select(column.key).where(column.holds_a_secret).order_by(column.key)).all()
        for key in keys:
            with transaction() as session:
                _rotate_one(session, column, key, done)
    scrub(engine)
    return done


def scrub(engine: Engine) -> None:
    """Rewrite an SQLite file, so that free pages and the log hold nothing of what was overwritten, and mark it as done.

    A file that others keep busy is left for the next start.
    """
    if engine.dialect.name != "sqlite":
        return
    with reading() as session:
        if _is_scrubbed(session):
            return
    connection = engine.raw_connection()
    try:
        deadline = time.monotonic() + SCRUB_SECONDS
        cursor = connection.cursor()
        wait_for_lock(lambda: cursor.execute("VACUUM"), deadline)
        while cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:  # 1: somebody still reads from the log
            if time.monotonic() >= deadline:
                log.warning("the database is busy: what was overwritten in its file is cleared at the next start")
                return
            time.sleep(0.02)
        cursor.close()
    finally:
        connection.close()
    _mark(engine, SCRUBBED)


def _columns() -> Iterator[_Column]:
    for table in db.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, SealedText):
                yield _Column(table, column.name)
    yield _Column(db.metadata.tables["settings"], "value", SECRET_SETTINGS)


def _any_plain(session: Session) -> bool:
    return bool(session.scalar(select(or_(*(exists().where(column.is_plain) for column in _columns())))))


def _seal_plain(session: Session, column: _Column) -> int:
    rows = session.execute(select(column.key, column.value).where(column.is_plain).with_for_update()).all()
    for key, secret in rows:
        column.put(session, key, secret)
    return len(rows)


def _rotate_one(session: Session, column: _Column, key: object, done: Rotation) -> None:
    """Read again under the row's lock: a worker may have stored newer tokens since."""
    stored = session.scalar(select(column.value).where(column.key == key).with_for_update())
    if not stored:
        return
    if vault().is_current(stored):
        done.current += 1
        return
    try:
        secret = vault().open(stored, column.place(key)) if is_sealed(stored) else stored
    except SecretUnreadable as error:
        log.error("%s cannot be read: %s", column.place(key), error)
        done.unreadable.append(column.place(key))
        return
    column.put(session, key, secret)
    done.resealed += 1


def _is_scrubbed(session: Session) -> bool:
    return bool(session.scalar(text("PRAGMA user_version")) == SCRUBBED)


def _mark(engine: Engine, version: int) -> None:
    if engine.dialect.name == "sqlite":
        with transaction() as session:
            session.execute(text(f"PRAGMA user_version = {version}"))
