"""Signing a person in: by a device code (Builder ID, IAM Identity Center) or by a login page with PKCE (Google, GitHub).

In: what the person chose, and chance as bytes. Out: the calls and the address to open; of their answers what they say, or
SignInFailed. Keeps nothing and asks nobody.
Source: protocol 1.9 and 1.10. The redirect to the loopback is one of the few that are allowed; nothing has to listen there, the
person copies the address from a page that does not load. The `kiro://` one opens a Kiro IDE where one is installed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

import orjson

from app.errors import GatewayError
from app.kiro.endpoints import DEFAULT_REGION, ClientIdentity, HttpCall, oidc_call
from app.kiro.oauth import Grant, number, read_grant, read_object, said, text

BUILDER_ID_START_URL = "https://view.awsapps.com/start"
START_DOMAINS = (".awsapps.com", ".awsapps.cn", ".app.aws")
PROVIDERS = {"google": "Google", "github": "Github"}
LANDINGS = {"localhost": "http://localhost:49153/oauth/callback", "kiro": "kiro://kiro.kiroAgent/authenticate-success"}
SCOPES = (
    "codewhisperer:completions",
    "codewhisperer:analysis",
    "codewhisperer:conversations",
    "codewhisperer:transformations",
    "codewhisperer:taskassist",
)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
VERIFIER_BYTES, STATE_BYTES = 32, 16
USUAL_INTERVAL_SECONDS, SLOW_DOWN_SECONDS = 5.0, 5.0
USUAL_DEVICE_SECONDS = 600.0
_SOCIAL_URL = f"https://prod.{DEFAULT_REGION}.auth.desktop.kiro.dev"
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}", re.ASCII)
_START_URL = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?P<path>[\w./-]*)([?#].*)?", re.ASCII)
_REASONS = {
    "expired_token": "the code was not used in time",
    "access_denied": "the sign-in was declined in the browser",
    "invalid_grant": "the code is no longer known",
}


class SignInFailed(GatewayError):
    """A sign-in cannot be begun or finished; the message says what to do instead."""

    status = 400
    error_type = "invalid_request_error"
    should_retry = False


@dataclass(frozen=True, slots=True, repr=False)
class Registration:
    """Our own client at OIDC. Every refresh of its tokens needs it again. expires_at: epoch seconds, when known."""

    client_id: str
    client_secret: str
    expires_at: float | None

    def __repr__(self) -> str:
        return f"<Registration {self.client_id}>"


@dataclass(frozen=True, slots=True, repr=False)
class DeviceCode:
    """A device code and what the person sees of it."""

    device_code: str
    user_code: str
    verification_url: str
    interval_seconds: float
    expires_in_seconds: float

    def __repr__(self) -> str:
        return f"<DeviceCode {self.user_code}>"


@dataclass(frozen=True, slots=True)
class Pending:
    """The person has not decided. slower: we ask too often."""

    slower: bool


# -- what a person gives --


def checked_region(region: str) -> str:
    """A region becomes part of the host that is called. Raises SignInFailed."""
    region = region.strip().lower()
    if not _REGION.fullmatch(region):
        raise SignInFailed(f"{region!r} is no AWS region; one looks like us-east-1. It is the Identity Center's own region")
    return region


def checked_start_url(start_url: str) -> str:
    """The start page of an Identity Center, as AWS wants it. Raises SignInFailed."""
    found = _START_URL.fullmatch(start_url.strip())
    if found is None or not found["host"].endswith(START_DOMAINS):
        raise SignInFailed("The start URL is the page where your organisation signs in to AWS: https://NAME.awsapps.com/start")
    usual = "" if found["host"].endswith(".app.aws") else "/start"
    return f"https://{found['host']}{found['path'].rstrip('/') or usual}"


def read_landing(pasted: str, state: str) -> str:
    """The code in the address a browser landed on. Raises SignInFailed when it is not the answer to this sign-in."""
    query = parse_qs(pasted.strip().partition("?")[2].partition("#")[0])
    if error := query.get("error_description") or query.get("error"):
        raise SignInFailed(f"The login page says: {' '.join(error[0].split())[:200]}")
    code, returned = query.get("code"), query.get("state")
    if not code or not returned:
        raise SignInFailed("That is not the whole address: copy all of it from the address bar, it holds code= and state=")
    if returned[0] != state:
        raise SignInFailed("That address belongs to another sign-in: open the address of this one and paste where it leads")
    return code[0]


# -- device codes --


def register_call(*, region: str, start_url: str, identity: ClientIdentity, invocation_id: str) -> HttpCall:
    """Register a client of our own, which everybody may."""
    content = {
        "clientName": "Kiro IDE",
        "clientType": "public",
        "scopes": SCOPES,
        "grantTypes": (DEVICE_GRANT, "refresh_token"),
        "issuerUrl": start_url,
    }
    return oidc_call("client/register", content, checked_region(region), identity, invocation_id)


def device_authorization_call(
    *, region: str, start_url: str, registration: Registration, identity: ClientIdentity, invocation_id: str
) -> HttpCall:
    """Ask for a device code."""
    content = {"clientId": registration.client_id, "clientSecret": registration.client_secret, "startUrl": start_url}
    return oidc_call("device_authorization", content, checked_region(region), identity, invocation_id)


def device_token_call(
    *, region: str, device_code: str, registration: Registration, identity: ClientIdentity, invocation_id: str
) -> HttpCall:
    """Ask what became of a device code."""
    keys = {"clientId": registration.client_id, "clientSecret": registration.client_secret}
    content = {**keys, "deviceCode": device_code, "grantType": DEVICE_GRANT}
    return oidc_call("token", content, checked_region(region), identity, invocation_id)


def read_registration(status: int, body: bytes) -> Registration:
    """The client that was registered. Raises SignInFailed."""
    found = _answered(status, body, "AWS does not register a client")
    client_id, secret = text(found, "clientId"), text(found, "clientSecret")
    if client_id is None or secret is None:
        raise SignInFailed("AWS registered a client without its id or secret: try again in a minute")
    return Registration(client_id, secret, number(found.get("clientSecretExpiresAt")))


def read_device_code(status: int, body: bytes, registration: Registration) -> DeviceCode:
    """The code that was made. Raises SignInFailed."""
    trouble = "AWS does not know this start URL in this region"
    found = _answered(status, body, trouble, (registration.client_secret,))
    device_code, user_code = text(found, "deviceCode"), text(found, "userCode")
    url = text(found, "verificationUriComplete", "verificationUri")
    if device_code is None or user_code is None or url is None:
        raise SignInFailed("AWS made no code: try again in a minute")
    interval = number(found.get("interval"))
    return DeviceCode(
        device_code,
        user_code,
        url,
        USUAL_INTERVAL_SECONDS if interval is None else interval,
        number(found.get("expiresIn")) or USUAL_DEVICE_SECONDS,
    )


def read_device_answer(status: int, body: bytes, secrets: Iterable[str]) -> Grant | Pending:
    """The tokens, or that the person has not decided. Raises SignInFailed when there will be none."""
    found = read_object(body)
    error = found.get("error")
    if error in ("authorization_pending", "slow_down"):
        return Pending(slower=error == "slow_down")
    if status == 429 or status >= 500:
        return Pending(slower=True)
    grant = read_grant(found) if status == 200 else None
    if grant is None or grant.refresh_token is None:
        why = _REASONS.get(str(error)) or said(found, secrets) or f"AWS answered with status {status}"
        raise SignInFailed(f"The sign-in ended: {why}. Begin again")
    return grant


# -- the login page --


def login_url(*, provider: str, landing: str, verifier: str, state: str) -> str:
    """The page to open. provider, landing: names of PROVIDERS and LANDINGS."""
    query = {
        "idp": PROVIDERS[provider],
        "redirect_uri": LANDINGS[landing],
        "code_challenge": _unpadded(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "state": state,
        "prompt": "select_account",
    }
    return f"{_SOCIAL_URL}/login?{urlencode(query)}"


def secret_text(chance: bytes) -> str:
    """A verifier or state made from random bytes."""
    return _unpadded(chance)


def exchange_call(*, code: str, verifier: str, landing: str, identity: ClientIdentity) -> HttpCall:
    """Trade the code from the landing address."""
    content = {"code": code, "code_verifier": verifier, "redirect_uri": LANDINGS[landing]}
    headers = {
        "Accept": "application/json, text/plain, */*",
        "Content-Type": "application/json",
        "User-Agent": f"KiroIDE-{identity.kiro_version}",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }
    return HttpCall("POST", f"{_SOCIAL_URL}/oauth/token", headers, orjson.dumps(content))


def read_exchange(status: int, body: bytes, secrets: Iterable[str]) -> Grant:
    """The tokens. Raises SignInFailed."""
    found = read_object(body)
    grant = read_grant(found) if status == 200 else None
    if grant is None or grant.refresh_token is None:
        why = said(found, secrets) or f"status {status}"
        raise SignInFailed(
            f"Kiro does not accept the code from that address ({why}): it serves once and not for long. Begin again"
        )
    return grant


def _answered(status: int, body: bytes, trouble: str, secrets: Iterable[str] = ()) -> dict[str, Any]:
    found = read_object(body)
    if status != 200:
        raise SignInFailed(f"{trouble}: {said(found, secrets) or f'status {status}'}")
    return found


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
