"""What carries a secret does not show it: a repr ends up in tracebacks and debuggers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.credentials.credential import Login, Tokens
from app.credentials.pool import Lease
from app.credentials.store import Claim
from app.kiro.oauth import Grant
from app.kiro.sign_in import DeviceCode, Registration
from app.settings import snapshot
from app.storage.secrets import Vault
from app.translate.signatures import Sealer
from config import Config
from tests.unit.credentials.logins import credential, idc

SECRET = "a-secret-that-nobody-may-see"
STORED = replace(
    credential(), access_token=SECRET, refresh_token=SECRET, client_secret=SECRET, proxy_url=f"http://u:{SECRET}@p"
)
CARRIERS: list[object] = [
    STORED,
    idc(refresh_token=SECRET, access_token=SECRET, client_secret=SECRET, proxy_url=f"http://u:{SECRET}@p"),
    Login(kind="api_key", access_token=SECRET),
    Tokens(SECRET, SECRET, 0.0),
    Claim(STORED, "owner", cut_off=False),
    Lease(STORED, "first"),
    Grant(SECRET, SECRET, 3600.0, None),
    DeviceCode(SECRET, "ABCD-EFGH", "https://view.awsapps.com/start", 5.0, 600.0),
    Registration("client", SECRET, None),
    snapshot({"proxy_url": f"http://u:{SECRET}@p:1"}),
    Vault([SECRET.encode()]),
    Sealer(SECRET.encode()),
    Config(api_key=SECRET, admin_password=SECRET, jwt_secret=SECRET, database_url=SECRET, kiro_secret_keys=(SECRET,)),
]


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: type(carrier).__name__)
def test_its_repr_does_not_show_it(carrier: object) -> None:
    assert SECRET not in repr(carrier) + str(carrier) + repr([carrier]) + f"{carrier}"
