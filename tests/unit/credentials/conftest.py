"""A store on a database of its own for each test, of either kind."""

from __future__ import annotations

import pytest

from app.credentials.store import CredentialStore
from config import Config
from tests.unit.credentials.logins import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(either_database: Config, clock: Clock) -> CredentialStore:
    return CredentialStore(clock)
