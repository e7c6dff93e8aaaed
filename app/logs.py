"""The log: standard error, one record a line, without secrets.

Everything goes through one formatter, also what libraries and gunicorn log and what a traceback quotes: it masks what looks
like a secret and spells out line breaks. The lines of a traceback are indented, so that none passes for a record.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from app.masking import mask, one_line
from config import Config

# They tell their own story at `info`, one line per table.
QUIET = ("alembic",)


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.123Z WARNING app.pool: message`, and a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_instant(record)} {record.levelname} {record.name}: {_message(record)}"
        trace = _traceback(self, record)
        return "\n".join([line, *(f"    {one_line(part)}" for part in trace.split("\n") if trace)])


class JsonFormatter(logging.Formatter):
    """One JSON object: at, level, logger, message, and traceback when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {
            "at": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        trace = _traceback(self, record)
        return json.dumps(values | ({"traceback": trace} if trace else {}), ensure_ascii=False)


class StandardError(logging.Handler):
    """Writes to whatever standard error is at the moment: a command line's test runner changes it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a log that cannot be written must not fail a request
            self.handleError(record)


_handler = StandardError()


def set_up(config: Config) -> None:
    """Log from now on as the configuration says; again does no harm."""
    formatter = JsonFormatter() if config.log_format == "json" else TextFormatter()
    root = logging.getLogger()
    root.setLevel(config.log_level.upper())
    _handler.setFormatter(formatter)
    if _handler not in root.handlers:
        root.addHandler(_handler)
    for handler in logging.getLogger("gunicorn.error").handlers:
        handler.setFormatter(formatter)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _message(record: logging.LogRecord) -> str:
    return one_line(mask(record.getMessage()))


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    return mask("\n".join([*parts, *([formatter.formatStack(record.stack_info)] if record.stack_info else [])]))


def _instant(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
