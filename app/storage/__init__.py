"""Keeps rows: the engine, short transactions, the tables, migrations. The only package besides the doors that knows Flask."""

from __future__ import annotations

from app.storage.engine import db_now, dispose, init, reading, transaction

__all__ = ["db_now", "dispose", "init", "reading", "transaction"]
