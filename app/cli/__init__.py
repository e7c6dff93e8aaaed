"""The command line: `flask --app wsgi settings | requests | keys | credentials | serve`.

Each module is one group and says what it prints; the work is done by the services that the doors use too.
"""

from __future__ import annotations

import importlib
import importlib.util

from flask import Flask

from app.cli.keys import keys
from app.cli.records import requests_command
from app.cli.serve import serve
from app.cli.settings import settings

COMMANDS = (settings, requests_command, keys, serve)


def register(app: Flask) -> None:
    """Hang every command on the application's `flask` command line."""
    for command in COMMANDS:
        app.cli.add_command(command)
    if importlib.util.find_spec("app.cli.credentials") is not None:
        app.cli.add_command(importlib.import_module("app.cli.credentials").credentials)
