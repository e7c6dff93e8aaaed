"""Kiro's services: from a request to an answer, scripted or sensible.

In: a request that was read completely, and its record. Out: an answer, still unsent. Each service is one function, found by
method and path, at `POST /` by its target; every check that refuses leaves its name in the record.
Source: protocol 1.1.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator import refusals
from simulator.connection import Request
from simulator.gates import Refused
from simulator.recording import Call
from simulator.replies import Answer, refuse, scripted_answer
from simulator.script import CHAT_PATH
from simulator.services import account, chat, external_idp, profiles, sign_in, tokens
from simulator.state import State

Service = Callable[[State, Request, Call], Answer]
PATHS: dict[tuple[str, str], Service] = {
    ("POST", CHAT_PATH): chat.chat,
    ("GET", "/getUsageLimits"): account.usage,
    ("GET", "/ListAvailableModels"): account.models,
    ("POST", "/refreshToken"): tokens.social_refresh,
    ("POST", "/token"): tokens.oidc_token,
    ("POST", "/client/register"): sign_in.register,
    ("POST", "/device_authorization"): sign_in.authorize_device,
    ("GET", "/login"): sign_in.social_login,
    ("POST", "/oauth/token"): sign_in.social_exchange,
}
TARGETS: dict[str, Service] = {"AmazonCodeWhispererService.ListAvailableProfiles": profiles.list_profiles}


class Services:
    """The services behind one port, told apart by method, path, target and Host."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, request: Request, call: Call) -> Answer:
        """The answer to any request outside the control plane."""
        step = self._state.script.take(request.path, unchecked=True)
        if step is not None:
            call.scripted = True
            if (answer := scripted_answer(step)) is not None:
                return answer
        service = _find(request)
        if service is None:
            call.refused_by = "path"
            return refuse(refusals.UNKNOWN_OPERATION)
        try:
            return service(self._state, request, call)
        except Refused as error:
            call.refused_by = error.rule
            return refuse(error.refusal, typed=request.path == "/")


def _find(request: Request) -> Service | None:
    if (request.method, request.path) == ("POST", "/"):
        return TARGETS.get(request.headers.get("x-amz-target", ""))
    if request.method == "POST" and external_idp.TOKEN_PATH.fullmatch(request.path):
        return external_idp.token
    return PATHS.get((request.method, request.path))
