"""What the doors may use, as one typed bag that `create_app` fills and every view reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import current_app

from app.access.api_keys import KeyRing
from app.catalog import ModelPoller
from app.counting import TokenCounts
from app.credentials.login import LoginFlows
from app.credentials.pool import Pool
from app.credentials.store import CredentialStore
from app.credentials.usage import UsagePoller
from app.doctor import Doctor
from app.ledger import Ledger
from app.relay import Relay
from app.settings import SettingsStore
from app.translate.models import Catalogue
from app.upstream.token_counter import TokenCounter
from config import Config

EXTENSION = "kiro_services"


@dataclass(frozen=True, slots=True)
class Services:
    """Everything is made once per process."""

    config: Config
    settings: SettingsStore
    keys: KeyRing
    store: CredentialStore
    pool: Pool
    logins: LoginFlows
    relay: Relay
    ledger: Ledger
    usage: UsagePoller
    doctor: Doctor
    models: ModelPoller
    catalogue: Callable[[], Catalogue]
    counts: TokenCounts
    counter: TokenCounter
    clock: Callable[[], float]


def services() -> Services:
    """The services of the running application."""
    return cast(Services, current_app.extensions[EXTENSION])
