"""Hosts, headers and user agents of every call to Kiro, and who we say we are.

In: a credential's values. Out: an `HttpCall` ready to be sent. Builds, never sends; a region that is none is a ValueError.
Source: protocol 1.1–1.8 and 2; the header set is the newest one of kiro.rs with the user agents of SDK 1.0.34, because old
versions are refused (observed by others, August 2026).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

SOCIAL_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
BUILDER_ID_PLACEHOLDER_ARN = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
DEFAULT_REGION = "us-east-1"
API_REGIONS = ("us-east-1", "eu-central-1")
Q, RUNTIME = "q", "runtime"
# Host, content type and further headers of a chat.
_CHAT_HOSTS = {
    Q: ("q.{}.amazonaws.com", "application/json", {}),
    RUNTIME: (
        "runtime.{}.kiro.dev",
        "application/x-amz-json-1.0",
        {"x-amz-target": "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"},
    ),
}
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
_HEX32 = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The versions in our user agents. rest_version: for usage and listings, which have a gate of their own."""

    kiro_version: str
    rest_version: str
    system_version: str
    node_version: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """What is sent. headers keep their order and spelling; Host follows from the URL."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


def chat_call(
    *,
    host: str,
    region: str,
    access_token: str,
    machine_id: str,
    identity: ClientIdentity,
    kind: str,
    body: bytes,
    invocation_id: str,
) -> HttpCall:
    """`generateAssistantResponse` (protocol 1.1 and 1.3). host: Q or RUNTIME."""
    base, content_type, target = _CHAT_HOSTS[host]
    agent = f"KiroIDE-{identity.kiro_version}-{machine_id}"
    headers = {
        "Content-Type": content_type,
        "Accept": "*/*",
        **target,
        "x-amzn-codewhisperer-optout": "true",
        "x-amzn-kiro-agent-mode": "vibe",
        "x-amz-user-agent": f"aws-sdk-js/1.0.34 {agent}",
        "User-Agent": (
            f"aws-sdk-js/1.0.34 ua/2.1 os/{identity.system_version} lang/js md/nodejs#{identity.node_version} "
            f"api/codewhispererstreaming#1.0.34 m/E {agent}"
        ),
        "amz-sdk-invocation-id": invocation_id,
        "amz-sdk-request": "attempt=1; max=3",
        "Authorization": f"Bearer {access_token}",
        **token_type(kind),
        "Connection": "close",
    }
    return HttpCall("POST", f"https://{base.format(checked_region(region))}/generateAssistantResponse", headers, body)


def social_refresh_call(*, region: str, refresh_token: str, machine_id: str, identity: ClientIdentity) -> HttpCall:
    """Trade a social refresh token (protocol 1.6). Only encodings we can decode are offered."""
    headers = {
        "Accept": "application/json, text/plain, */*",
        "Content-Type": "application/json",
        "User-Agent": f"KiroIDE-{identity.kiro_version}-{machine_id}",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }
    url = f"https://prod.{checked_region(region)}.auth.desktop.kiro.dev/refreshToken"
    return HttpCall("POST", url, headers, orjson.dumps({"refreshToken": refresh_token}))


def idc_refresh_call(
    *,
    region: str,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    identity: ClientIdentity,
    invocation_id: str,
) -> HttpCall:
    """Trade a Builder ID or IdC refresh token: OIDC CreateToken with JSON in camelCase (protocol 1.7)."""
    body = {"clientId": client_id, "clientSecret": client_secret, "refreshToken": refresh_token, "grantType": "refresh_token"}
    return oidc_call("token", body, region, identity, invocation_id)


def oidc_call(path: str, content: dict[str, Any], region: str, identity: ClientIdentity, invocation_id: str) -> HttpCall:
    """Any call to the OIDC service of a region. content: in camelCase (protocol 1.7 and 1.9)."""
    headers = {
        "Content-Type": "application/json",
        "x-amz-user-agent": "aws-sdk-js/3.980.0 KiroIDE",
        "User-Agent": (
            f"aws-sdk-js/3.980.0 ua/2.1 os/{identity.system_version} lang/js md/nodejs#{identity.node_version} "
            "api/sso-oidc#3.980.0 m/E KiroIDE"
        ),
        "amz-sdk-invocation-id": invocation_id,
        "amz-sdk-request": "attempt=1; max=4",
        "Connection": "close",
    }
    return HttpCall("POST", f"https://oidc.{checked_region(region)}.amazonaws.com/{path}", headers, orjson.dumps(content))


def derive_machine_id(machine_id: str | None, refresh_token: str | None, api_key: str | None = None) -> str:
    """64 hex digits for the user agents: the given id where it is valid, else derived from the login (protocol 2).

    Derived once, when a credential is stored, and kept: a rotated token does not change the device.
    Raises ValueError without any of the three.
    """
    given = (machine_id or "").strip()
    if _HEX64.fullmatch(given):
        return given
    if _HEX32.fullmatch(short := given.replace("-", "")):
        return short * 2
    if api_key:
        return hashlib.sha256(f"KiroAPIKey/{api_key}".encode()).hexdigest()
    if refresh_token:
        return hashlib.sha256(f"KotlinNativeAPI/{refresh_token}".encode()).hexdigest()
    raise ValueError("a machine id needs an id, a refresh token or an API key")


def api_region(api_region: str | None, profile_arn: str | None, auth_region: str | None) -> str:
    """Where the API is called: the region of the ARN that is sent, else an explicit one, else the nearest the API exists in.

    A host and an ARN of different regions never fit together (protocol 1.8).
    """
    parts = (profile_arn or "").split(":")
    if len(parts) > 3 and _REGION.fullmatch(parts[3]):
        return parts[3]
    return api_region or nearest_api_region(auth_region)


def nearest_api_region(auth_region: str | None) -> str:
    """The API has two regions; an Identity Center may be anywhere (protocol 1.2 and 1.4)."""
    return "eu-central-1" if (auth_region or "").startswith("eu-") else DEFAULT_REGION


def sent_profile_arn(kind: str, provider: str | None, profile_arn: str | None) -> str | None:
    """The ARN of a chat body: real → social → Builder ID placeholder, never for API keys (protocol 1.8)."""
    if kind == "api_key":
        return None
    if profile_arn:
        return profile_arn
    if kind == "social":
        return SOCIAL_PROFILE_ARN
    return BUILDER_ID_PLACEHOLDER_ARN if kind == "idc" and (provider or "BuilderId") == "BuilderId" else None


def checked_region(region: str) -> str:
    """A region is part of a host name, and tokens go there: `evil.example/` would take them elsewhere."""
    if not _REGION.fullmatch(region):
        raise ValueError(f"{region!r} is not the name of a region")
    return region


def token_type(kind: str) -> dict[str, str]:
    """The header that says whose token it is; none for logins at AWS (protocol 1.5)."""
    return {"api_key": {"tokentype": "API_KEY"}, "external_idp": {"tokentype": "EXTERNAL_IDP"}}.get(kind, {})
