"""The token endpoint of an organisation's own identity provider, as Entra ID has it: a form in, snake_case out, no secret.

Source: protocol 1.11; the error codes are those of Entra's own reference.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from simulator.accounts import EXTERNAL_IDP_HOST, RefreshRefused
from simulator.connection import Request
from simulator.gates import take_step
from simulator.recording import Call
from simulator.replies import Answer, Dropped, whole_json
from simulator.state import State

TOKEN_PATH = re.compile(r"/(?P<tenant>[\w.-]+)/oauth2/v2\.0/token")
FORM = "application/x-www-form-urlencoded"


def token(state: State, request: Request, call: Call) -> Answer:
    """Trade a refresh token of the tenant in the path."""
    options = state.options
    form = {name: values[-1] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
    owner = state.accounts.by_refresh_token(form.get("refresh_token", ""))
    call.account = owner.id if owner else None
    step, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    if (wrong := _wrong_request(state, request, form)) is not None:
        call.refused_by = wrong[0]
        return _error(*wrong)
    path = TOKEN_PATH.fullmatch(request.path)
    try:
        tokens = state.accounts.refresh(
            form.get("refresh_token", ""),
            kinds=("external_idp",),
            client=(form.get("client_id", ""), ""),
            place=path["tenant"] if path else "",
            now=state.clock(),
            token_seconds=options.access_token_seconds,
            rotate=options.rotate,
        )
    except RefreshRefused as error:
        call.refused_by = error.code
        if error.code == "invalid_client":
            return _error("unauthorized_client", 700016, "Application was not found in the directory.")
        return _error("invalid_grant", 70000, "The provided refresh token is invalid, expired or was revoked.")
    delay = step.delay_before if step else options.refresh_delay
    if step is not None and step.reset_after_rotate:
        return Dropped("rst", delay)
    content: dict[str, Any] = {"token_type": "Bearer", "scope": tokens.account.scopes, "access_token": tokens.access_token}
    if tokens.refresh_token != form.get("refresh_token") or options.kept_token_sent:
        content["refresh_token"] = tokens.refresh_token
    if options.expires_in_sent:
        content |= {"expires_in": int(tokens.expires_in), "ext_expires_in": int(tokens.expires_in)}
    return whole_json(200, content, delay_seconds=delay)


def _wrong_request(state: State, request: Request, form: dict[str, str]) -> tuple[str, int, str] | None:
    if request.host != EXTERNAL_IDP_HOST and state.options.check_host:
        return "invalid_request", 90002, "No such host."
    if request.headers.get("content-type", "").partition(";")[0] != FORM or "grant_type" not in form:
        return "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'."
    if form["grant_type"] != "refresh_token":
        return "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
    if "client_id" not in form:
        return "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."
    if "scope" in form and "offline_access" not in form["scope"].split():
        return "invalid_scope", 70011, "The scope does not ask for offline_access."
    return None


def _error(code: str, number: int, description: str) -> Answer:
    content = {"error": code, "error_description": f"AADSTS{number}: {description}", "error_codes": [number]}
    return whole_json(400, content)
