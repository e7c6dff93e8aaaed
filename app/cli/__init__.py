"""The command line: `flask --app wsgi settings|requests|keys|credentials|serve`."""

from __future__ import annotations

from flask import Flask

from app.cli import credentials, keys, requests, serve, settings


def register(app: Flask) -> None:
    """Hang every command on the application."""
    for command in (settings.settings, requests.requests, keys.keys, credentials.credentials, serve.serve):
        app.cli.add_command(command)
