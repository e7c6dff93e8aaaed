"""The doors: each view checks the key, asks, delegates and answers. `register` hangs them all on the application."""

from __future__ import annotations

from flask import Flask

from app.blueprints import admin_ui, count_tokens, error_handlers, health, messages, models


def register(app: Flask) -> None:
    """Hang every door on the application; the order does not matter."""
    error_handlers.register(app)
    for module in (health, messages, count_tokens, models, admin_ui):
        app.register_blueprint(module.bp)
