"""The command line: `flask --app wsgi credentials|db|doctor|keys|login|models|requests|rotate-secrets|serve|settings|usage`."""

from __future__ import annotations

from flask import Flask

from app.cli.credentials import credentials
from app.cli.doctor import doctor
from app.cli.keys import keys
from app.cli.login import login
from app.cli.migrations import db
from app.cli.models import models
from app.cli.records import requests
from app.cli.secrets import rotate_secrets
from app.cli.serve import serve
from app.cli.settings import settings
from app.cli.usage import usage


def register(app: Flask) -> None:
    """Hang every command on the application."""
    for command in (credentials, db, doctor, keys, login, models, requests, rotate_secrets, serve, settings, usage):
        app.cli.add_command(command)
