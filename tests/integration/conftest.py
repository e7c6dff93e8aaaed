"""One stand-in for Kiro and one gateway per test module; a test that needs others starts its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.client import Simulator
from tests.conftest import SECRET_KEY
from tests.integration.gateway import Gateway, flask_command, running_gateway
from tests.postgresql import Server

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start() as running:
        yield running


@pytest.fixture(autouse=True)
def _unscripted(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test scripted does not leak into the next."""
    yield
    if "simulator" in request.fixturenames:
        running: Simulator = request.getfixturevalue("simulator")
        running.reset()


@pytest.fixture
def postgresql(postgresql_server: Server) -> Iterator[dict[str, str]]:
    """The variables of a gateway on an empty PostgreSQL database; several gateways with them are several machines."""
    name = f"gateway_{next(_numbers)}"
    yield {"DATABASE_URL": postgresql_server.create(name), "KIRO_SECRET_KEYS": SECRET_KEY}
    postgresql_server.drop(name)


@pytest.fixture(scope="module")
def credentials_file(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kiro.rs file with one social login of the stand-in, whose access token is still good for an hour."""
    account = simulator.add_account(kind="social")
    path = tmp_path_factory.mktemp("login") / "credentials.json"
    path.write_text(json.dumps({"refreshToken": account["refresh_token"], "authMethod": "social"}))
    return path


@pytest.fixture(scope="module")
def gateway(simulator: Simulator, credentials_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers in front of the stand-in, with short pings so that silence is seen soon."""
    folder = tmp_path_factory.mktemp("gateway")
    for name, value in {"first_ping_seconds": "1", "ping_seconds": "1"}.items():
        done = flask_command(folder, "settings", "set", name, value)
        assert done.returncode == 0, done.stderr
    with running_gateway(folder, upstream_url=simulator.url, workers=2, KIRO_CREDENTIALS_FILE=str(credentials_file)) as running:
        yield running
