"""A start that finds everything in order loads what answering takes, and nothing else: each worker pays for each module."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from app.factory import create_app
from config import Config

ROOT = Path(__file__).resolve().parents[2]
START = """
import json, sys
from gevent import monkey
monkey.patch_all()
from app.factory import create_app
from config import Config
create_app(Config.from_env({"DB_PATH": sys.argv[1]}, dotenv=None))
print(json.dumps(sorted(sys.modules)))
"""
# Migrations, PostgreSQL, images, PDF, and what only development has.
LATER = frozenset(
    "alembic flask_migrate mako pygments psycopg psycopg_pool PIL pypdf multiprocessing"
    " pytest hypothesis anthropic botocore simulator bench tests".split()
)


def test_a_start_on_a_ready_database_loads_nothing_that_can_wait(tmp_path: Path) -> None:
    database = str(tmp_path / "data.db")
    create_app(Config.from_env({"DB_PATH": database}, dotenv=None))
    said = subprocess.run([sys.executable, "-c", START, database], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in json.loads(said)}
    assert "sqlalchemy" in loaded  # so that an empty answer is none
    assert sorted(loaded & LATER) == []
