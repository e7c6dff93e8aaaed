"""Trading refresh tokens: the desktop service for social logins, OIDC for Builder ID and IdC, which also has the device grant.

Source: protocol 1.6, 1.7.
"""

from __future__ import annotations

import re
from typing import Any

from simulator.accounts import RefreshRefused, TokenSet
from simulator.connection import Request
from simulator.gates import DEFAULT_REGION, json_body, take_step
from simulator.recording import Call
from simulator.replies import Answer, Dropped, oauth_error, whole_json
from simulator.services.sign_in import DEVICE_GRANT, device_token
from simulator.state import State

SOCIAL_HOSTS = re.compile(r"prod\.(?P<region>[a-z0-9-]+)\.auth\.desktop\.kiro\.dev")
OIDC_HOSTS = re.compile(r"oidc\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")


def social_refresh(state: State, request: Request, call: Call) -> Answer:
    """Trade a social refresh token."""
    token = str(json_body(request).get("refreshToken") or "")
    return _refresh(state, request, call, SOCIAL_HOSTS, token, kinds=("social",), client=None)


def oidc_token(state: State, request: Request, call: Call) -> Answer:
    """Trade a Builder ID or IdC refresh token, or ask what became of a device code."""
    body = json_body(request)
    if body.get("grantType") == DEVICE_GRANT:
        return device_token(state, request, call)
    if body.get("grantType") != "refresh_token":
        return oauth_error(400, "unsupported_grant_type", "Only refresh_token and device_code are served")
    client = (str(body.get("clientId") or ""), str(body.get("clientSecret") or ""))
    token = str(body.get("refreshToken") or "")
    return _refresh(state, request, call, OIDC_HOSTS, token, kinds=("builder_id", "idc"), client=client)


def _refresh(
    state: State,
    request: Request,
    call: Call,
    hosts: re.Pattern[str],
    token: str,
    *,
    kinds: tuple[str, ...],
    client: tuple[str, str] | None,
) -> Answer:
    options = state.options
    host = hosts.fullmatch(request.host)
    if host is None and options.check_host:
        call.refused_by = "host"
        return oauth_error(400, "invalid_request", "Unknown host")
    owner = state.accounts.by_refresh_token(token)
    call.account = owner.id if owner else None
    step, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    try:
        tokens = state.accounts.refresh(
            token,
            kinds=kinds,
            client=client,
            place=host["region"] if host else DEFAULT_REGION,
            now=state.clock(),
            token_seconds=options.access_token_seconds,
            rotate=options.rotate,
        )
    except RefreshRefused as error:
        call.refused_by = error.code
        status = 401 if error.code == "invalid_client" else 400
        return oauth_error(status, error.code, "Invalid refresh token provided")
    delay = step.delay_before if step else options.refresh_delay
    if step is not None and step.reset_after_rotate:
        return Dropped("rst", delay)
    content: dict[str, Any] = {"accessToken": tokens.access_token}
    if tokens.refresh_token != token or options.kept_token_sent:
        content["refreshToken"] = tokens.refresh_token
    if options.expires_in_sent:
        content["expiresIn"] = int(tokens.expires_in)
    return whole_json(200, content | _of_kind(tokens), delay_seconds=delay)


def _of_kind(tokens: TokenSet) -> dict[str, Any]:
    if tokens.account.kind == "social":
        return {"profileArn": tokens.account.profile_arn}
    return {"tokenType": "Bearer", "idToken": None}
