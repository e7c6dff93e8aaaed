"""ListAvailableProfiles: which AWS profiles an organisation's login may act for.

An external IdP's token without its TokenType header gets an empty list and no word about why. A social login or API key has
nothing to list (assumed: nobody was seen asking).
Source: protocol 1.1, 1.8.
"""

from __future__ import annotations

from typing import Any

from simulator import refusals
from simulator.accounts import Account
from simulator.connection import Request
from simulator.gates import Refused, api_host, authenticate, check_user_agent, json_body, take_step
from simulator.recording import Call
from simulator.replies import Answer, whole_json
from simulator.state import State

HOSTS = ("q", "codewhisperer")
CONTENT_TYPE = "application/x-amz-json-1.0"
MOST_RESULTS = 100
USUAL_RESULTS = 10


def list_profiles(state: State, request: Request, call: Call) -> Answer:
    """One page of the profiles in the region that was asked."""
    _, region = api_host(state, request, HOSTS, refusals.UNKNOWN_OPERATION)
    if request.headers.get("content-type", "").partition(";")[0] != CONTENT_TYPE:
        raise Refused("content_type", refusals.UNKNOWN_OPERATION)
    check_user_agent(request, state.options.rest_user_agent_minimum)
    account = authenticate(state, request, region, token_type_matters=False)
    call.account = account.id
    step, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    arns = [arn for arn in _listed(account, request) if arn.split(":")[3] == region]
    start, size = _page(json_body(request))
    content = {
        "profiles": [_describe(account, arn) for arn in arns[start : start + size]],
        "nextToken": f"page-{start + size}" if start + size < len(arns) else None,
    }
    delay = step.delay_before if step else 0.0
    return whole_json(200, content, headers={"Content-Type": CONTENT_TYPE}, delay_seconds=delay)


def _listed(account: Account, request: Request) -> tuple[str, ...]:
    if account.kind == "builder_id":
        raise Refused("builder_id", refusals.BUILDER_ID_UNSUPPORTED)
    if account.kind in ("social", "api_key"):
        raise Refused("kind", refusals.NOT_AUTHORIZED)
    if account.kind == "external_idp" and request.headers.get("tokentype", "").upper() != "EXTERNAL_IDP":
        return ()
    return account.profile_arns


def _page(body: dict[str, Any]) -> tuple[int, int]:
    size, token = body.get("maxResults", USUAL_RESULTS), body.get("nextToken") or "page-0"
    if not isinstance(size, int) or not 1 <= size <= MOST_RESULTS or not str(token).removeprefix("page-").isdigit():
        raise Refused("paging", refusals.IMPROPERLY_FORMED)
    return int(str(token).removeprefix("page-")), size


def _describe(account: Account, arn: str) -> dict[str, Any]:
    return {
        "arn": arn,
        "profileName": f"KiroProfile-{arn.split(':')[3]}",
        "description": "",
        "status": "ACTIVE",
        "profileType": "Q_DEVELOPER",
        "identityDetails": {"ssoIdentityDetails": {"ssoRegion": account.auth_region}},
    }
