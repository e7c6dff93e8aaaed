"""Work that one of all workers and machines does at a time.

A claim is a named row with an owner and an expiry, taken by compare-and-set and measured by the database's clock; the row also
says when the work was done last. A claim that nobody owns says that something is left alone until then, by everybody.
"""

from __future__ import annotations

import os
import uuid

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.storage import db_now, reading, transaction
from app.storage.tables import ClaimRow


class Claims:
    """The claims of this process. owner: told apart by it; one of its own when left out."""

    def __init__(self, owner: str | None = None) -> None:
        self._owner = owner or f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def take(self, name: str, seconds: float) -> bool:
        """Take a claim for so long; False while somebody holds it."""
        try:
            with transaction() as session:
                row = session.get(ClaimRow, name, with_for_update=True)
                now = db_now(session)
                if row is None:
                    row = ClaimRow(name=name)
                    session.add(row)
                elif (row.until or 0.0) > now:
                    return False
                row.owner, row.until = self._owner, now + seconds
        except IntegrityError:  # two machines made the row at once
            return False
        return True

    def keep(self, name: str, seconds: float) -> bool:
        """Hold a claim for so long from now; False when it ran out and is somebody else's."""
        with transaction() as session:
            row = session.get(ClaimRow, name, with_for_update=True)
            if row is None or row.owner != self._owner:
                return False
            row.until = db_now(session) + seconds
        return True

    def give_back(self, name: str) -> None:
        """The work is done; a claim that is somebody else's by now stays."""
        with transaction() as session:
            row = session.get(ClaimRow, name, with_for_update=True)
            if row is not None and row.owner == self._owner:
                row.owner, row.until, row.done_at = None, None, db_now(session)

    def leave_alone(self, name: str, seconds: float) -> None:
        """Nobody does this for so long."""
        with transaction() as session:
            session.merge(ClaimRow(name=name, owner=None, until=db_now(session) + seconds))

    def held(self) -> frozenset[str]:
        """The names that are held, or left alone, now."""
        with reading() as session:
            return frozenset(session.scalars(select(ClaimRow.name).where(ClaimRow.until > db_now(session))))

    def done_at(self, name: str) -> float | None:
        """When the work was done last, epoch seconds; None when it never was."""
        with reading() as session:
            row = session.get(ClaimRow, name)
            return None if row is None else row.done_at
