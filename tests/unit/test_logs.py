"""One record is one line without secrets, whoever wrote it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from app import logs
from config import Config

TOKEN = "aorAAAAAG-a-token-nobody-may-see"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def written(capsys: pytest.CaptureFixture[str], **values: str) -> list[str]:
    """What stands on standard error after one warning with a traceback."""
    logs.set_up(Config.from_env({name.upper(): value for name, value in values.items()}, dotenv=None))
    capsys.readouterr()
    try:
        raise ValueError(f"upstream said\n2026-01-01T00:00:00.000Z INFO app: forged {TOKEN}")
    except ValueError:
        logging.getLogger("app.test").warning("user %s asked\r\nwith %s", "eve\nroot", TOKEN, exc_info=True)
    return capsys.readouterr().err.splitlines()


def test_a_record_is_one_line_and_its_traceback_is_indented(capsys: pytest.CaptureFixture[str]) -> None:
    first, *trace = written(capsys)
    instant, level, name, message = first.split(" ", 3)
    assert (level, name, message) == ("WARNING", "app.test:", r"user eve\nroot asked\r\nwith …")
    assert len(instant) == len("2026-01-31T12:00:00.123Z")
    assert all(line.startswith("    ") for line in trace)
    assert any("forged" in line for line in trace)
    assert TOKEN not in "".join([first, *trace])


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = written(capsys, log_format="json")
    record = json.loads(line)
    assert (record["level"], record["logger"]) == ("warning", "app.test")
    assert record["message"] == r"user eve\nroot asked\r\nwith …"
    assert "ValueError" in record["traceback"]
    assert TOKEN not in line


def test_the_level_is_the_configured_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, log_level="error") == []
    assert written(capsys, log_level="warning") != []


def test_setting_up_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(Config())
    logs.set_up(Config())
    capsys.readouterr()
    logging.getLogger("app.test").info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_gunicorn_s_own_lines_are_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    own = logging.getLogger("gunicorn.error")
    handler = logging.StreamHandler(sys.stderr)
    own.addHandler(handler)
    try:
        logs.set_up(Config())
        own.propagate = False
        own.warning("invalid request: %s", TOKEN)
    finally:
        own.removeHandler(handler)
        own.propagate = True
    said = capsys.readouterr().err
    assert "invalid request: …" in said
    assert TOKEN not in said


def test_a_standard_error_that_is_gone_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.set_up(Config())
    monkeypatch.setattr(sys, "stderr", None)
    logging.getLogger("app.test").warning("nobody hears it")
