"""The command line: `flask --app wsgi credentials|keys|login|requests|serve|settings`."""

from __future__ import annotations

from flask import Flask

from app.cli.credentials import credentials
from app.cli.keys import keys
from app.cli.login import login
from app.cli.records import requests
from app.cli.serve import serve
from app.cli.settings import settings


def register(app: Flask) -> None:
    """Hang every command on the application."""
    for command in (credentials, keys, login, requests, serve, settings):
        app.cli.add_command(command)
