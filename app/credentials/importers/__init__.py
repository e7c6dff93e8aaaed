"""Logins as people have them, from any program that keeps some: files, folders, databases and what is pasted.

    file or folder ─ files ─┬─ kiro_cli (SQLite) ──────────┐
                            └─ text ─┬─ shapes (container) ─┴─ entry (one login) ─ apply ─ stored, with a verdict
    pasted text ─────────────────────┘

What something is, its content says, never its name. Files are never written. A verdict says of each entry what became of it, or
what it lacks; one that cannot be used never keeps the others out, and no message shows a token.
"""

from __future__ import annotations

from app.credentials.importers.apply import Import, Verdict, import_entries, sync_file
from app.credentials.importers.entry import Entry, parse_login
from app.credentials.importers.files import Source, read_file, read_paths, usual_places
from app.credentials.importers.text import read_text

__all__ = [
    "Entry",
    "Import",
    "Source",
    "Verdict",
    "import_entries",
    "parse_login",
    "read_file",
    "read_paths",
    "read_text",
    "sync_file",
    "usual_places",
]
