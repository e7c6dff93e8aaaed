"""Made-up exports, each as the program of its name writes them. No token in here was ever one."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.unit.credentials.logins import refresh_token

BUILDER_ID_START = "https://view.awsapps.com/start"
BUILDER_ID_HASH = "e909a0580879b06ece1202964fbe9dda95ea4ce3"
SOCIAL_ARN = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
TEAM_ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
TENANT = "https://login.microsoftonline.com/0000-1111"
EXPIRES = "2026-02-01T10:00:00.000Z"
EXPIRES_AT = 1769940000.0


def access_token(name: str = "a") -> str:
    return f"aoa-{name}-" + "y" * 120


def ide_social(name: str = "a", **values: Any) -> dict[str, Any]:
    return {
        "accessToken": access_token(name),
        "refreshToken": refresh_token(name),
        "expiresAt": EXPIRES,
        "authMethod": "social",
        "provider": "Google",
        "profileArn": SOCIAL_ARN,
        "region": "us-east-1",
        **values,
    }


def ide_idc(name: str = "a", **values: Any) -> dict[str, Any]:
    return {
        "accessToken": access_token(name),
        "refreshToken": refresh_token(name),
        "expiresAt": EXPIRES,
        "clientIdHash": hashlib.sha1(name.encode()).hexdigest(),
        "authMethod": "IdC",
        "provider": "Enterprise",
        "region": "eu-west-1",
        **values,
    }


def registration(name: str = "a") -> dict[str, Any]:
    return {"clientId": f"cid-{name}", "clientSecret": f"csec-{name}-" + "s" * 40, "expiresAt": "2026-05-01T00:00:00.000Z"}


def ide_external_idp(name: str = "a", **values: Any) -> dict[str, Any]:
    return {
        "accessToken": access_token(name),
        "refreshToken": refresh_token(name),
        "expiresAt": EXPIRES,
        "authMethod": "external_idp",
        "provider": "ExternalIdp",
        "tokenEndpoint": f"{TENANT}/oauth2/v2.0/token",
        "issuerUrl": f"{TENANT}/v2.0",
        "clientId": f"cid-{name}",
        "scopes": "api://kiro/codewhisperer:conversations offline_access",
        "audience": "api://kiro",
        **values,
    }


def account(name: str = "a", **values: Any) -> dict[str, Any]:
    """One account of Kiro Account Manager, tokens nested."""
    return {
        "id": f"id-{name}",
        "email": f"{name}@example.test",
        "userId": f"d-1.{name}",
        "nickname": f"nick {name}",
        "status": "active",
        "machineId": "ab" * 32,
        "idp": "BuilderId",
        "credentials": {
            "accessToken": access_token(name),
            "csrfToken": "",
            "refreshToken": refresh_token(name),
            "clientId": f"cid-{name}",
            "clientSecret": f"csec-{name}",
            "region": "us-east-1",
            "authMethod": "IdC",
            "startUrl": BUILDER_ID_START,
            "expiresAt": int(EXPIRES_AT * 1000),
        },
        "subscription": {"type": "Pro", "title": "KIRO PRO"},
        "usage": {"current": 10, "limit": 1000},
        **values,
    }


def account_manager(*accounts: dict[str, Any]) -> dict[str, Any]:
    return {"version": "1.5.0", "exportedAt": 1769900000000, "accounts": list(accounts), "groups": [], "tags": []}


def kiro_cli(path: Path, rows: dict[str, Any], state: dict[str, Any] | None = None) -> Path:
    """The database of kiro-cli, closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")
        database.executemany("INSERT INTO auth_kv VALUES (?, ?)", [(key, json.dumps(value)) for key, value in rows.items()])
        if state is not None:
            database.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB)")
            database.executemany("INSERT INTO state VALUES (?, ?)", [(key, json.dumps(each)) for key, each in state.items()])
    return path


def cli_idc(name: str = "a", prefix: str = "kirocli", **values: Any) -> dict[str, Any]:
    token = {
        "access_token": access_token(name),
        "refresh_token": refresh_token(name),
        "expires_at": "2026-02-01T10:00:00.123456789Z",
        "region": "us-east-1",
        "start_url": BUILDER_ID_START,
        "oauth_flow": "DeviceCode",
        "scopes": ["codewhisperer:completions", "codewhisperer:conversations"],
        **values,
    }
    client = {
        "client_id": f"cid-{name}",
        "client_secret": f"csec-{name}",
        "client_secret_expires_at": "2026-05-01T00:00:00.123456789Z",
        "region": "us-east-1",
        "oauth_flow": "DeviceCode",
        "scopes": ["codewhisperer:completions"],
    }
    return {f"{prefix}:odic:token": token, f"{prefix}:odic:device-registration": client}


def cli_social(name: str = "a", **values: Any) -> dict[str, Any]:
    token = {
        "access_token": access_token(name),
        "refresh_token": refresh_token(name),
        "expires_at": "2026-02-01T10:00:00.123456789Z",
        "provider": "google",
        "profile_arn": SOCIAL_ARN,
        **values,
    }
    return {"kirocli:social:token": token}


def cli_external_idp(name: str = "a", **values: Any) -> dict[str, Any]:
    token = {
        "access_token": access_token(name),
        "refresh_token": refresh_token(name),
        "expires_at": "2026-02-01T10:00:00Z",
        "token_endpoint": f"{TENANT}/oauth2/v2.0/token",
        "issuer_url": f"{TENANT}/v2.0",
        "client_id": f"cid-{name}",
        "scopes": ["openid", "offline_access"],
        **values,
    }
    return {"kirocli:external-idp:token": token}
