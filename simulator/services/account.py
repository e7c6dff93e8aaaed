"""getUsageLimits and ListAvailableModels: the REST GETs, whose rules about the profile ARN depend on the user agent.

Source: protocol 1.4, 1.12, 6.
"""

from __future__ import annotations

from simulator import refusals
from simulator.accounts import Account
from simulator.catalogue import offered
from simulator.connection import Request
from simulator.gates import Refused, api_host, authenticate, check_user_agent, take_step, version
from simulator.recording import Call
from simulator.replies import Answer, whole_json
from simulator.state import State
from simulator.usage import usage_limits

HOSTS = ("q", "management")


def usage(state: State, request: Request, call: Call) -> Answer:
    """What the account has used."""
    account = _caller(state, request, call)
    step, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    content = usage_limits(account, with_email=request.query.get("isEmailRequired") == "true", now=state.clock())
    return whole_json(200, content, delay_seconds=step.delay_before if step else 0.0)


def models(state: State, request: Request, call: Call) -> Answer:
    """One page of the models that the account's plan has."""
    account = _caller(state, request, call)
    step, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    found = offered(account.plan)
    try:
        start = int(request.query.get("nextToken", "page-0").removeprefix("page-"))
        size = int(request.query.get("maxResults", state.options.models_per_page))
    except ValueError as error:
        raise Refused("paging", refusals.IMPROPERLY_FORMED) from error
    content = {
        "models": [model.describe() for model in found[start : start + size]],
        "defaultModel": {"modelId": "auto"},
        "nextToken": f"page-{start + size}" if start + size < len(found) else None,
    }
    return whole_json(200, content, delay_seconds=step.delay_before if step else 0.0)


def _caller(state: State, request: Request, call: Call) -> Account:
    """Who calls, when host, version, token and ARN are right."""
    options = state.options
    _, region = api_host(state, request, HOSTS, refusals.UNKNOWN_OPERATION)
    given = check_user_agent(request, options.rest_user_agent_minimum)
    account = authenticate(state, request, region)
    call.account = account.id
    rule = options.rest_profile_arn
    if rule == "by_version":
        rule = "required" if given >= version(options.rest_profile_arn_from) else "refused"
    if "profile" not in options.rules_off:
        _check_arn(account, request.query.get("profileArn"), rule, region)
    return account


def _check_arn(account: Account, arn: str | None, rule: str, region: str) -> None:
    if rule == "optional" and arn is None:
        return
    if account.kind == "api_key":
        if arn is not None:
            raise Refused("profile", refusals.PROFILE_INVALID)
    elif rule == "refused":
        if arn is not None:
            raise Refused("profile", refusals.IMPROPERLY_FORMED)
    elif arn is None:
        raise Refused("profile", refusals.PROFILE_REQUIRED)
    elif arn not in account.profile_arns:
        raise Refused("profile", refusals.PROFILE_INVALID)
    elif arn.split(":")[3] != region:
        raise Refused("profile", refusals.IMPROPERLY_FORMED)
