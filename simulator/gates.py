"""Who may come in: hosts and their regions, versions of the user agent, bearer tokens.

In: a request and the state. Out: what the gate learned of the caller, or `Refused` with the name of the check.
Source: protocol 1.1 to 1.5. The API has hosts in two regions; the name of one in another region does not resolve, which over a
socket that is open already can only be a 404, whatever the options say.
"""

from __future__ import annotations

import json
import re
from typing import Any

from simulator import refusals
from simulator.accounts import Account
from simulator.chat import mapping
from simulator.connection import Request
from simulator.recording import Call
from simulator.refusals import Refusal
from simulator.replies import Answer, scripted_answer
from simulator.script import Step
from simulator.state import State

API_REGIONS = ("us-east-1", "eu-central-1")
DEFAULT_REGION = "us-east-1"
API_HOST = re.compile(r"(?P<service>[a-z]+)\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com|kiro\.dev)")
DOMAINS = {"q": "amazonaws.com", "codewhisperer": "amazonaws.com", "runtime": "kiro.dev", "management": "kiro.dev"}
KIRO_VERSION = re.compile(r"\bKiroIDE-(\d+(?:\.\d+)*)")
TOKEN_TYPES = {"api_key": "API_KEY", "external_idp": "EXTERNAL_IDP"}


class Refused(Exception):
    """A check failed. rule: its name."""

    def __init__(self, rule: str, refusal: Refusal) -> None:
        super().__init__(rule)
        self.rule = rule
        self.refusal = refusal


def api_host(state: State, request: Request, services: tuple[str, ...], stranger: Refusal) -> tuple[str, str]:
    """Service and region of an API host. services: those that answer this call; stranger: the answer to any other host."""
    host = API_HOST.fullmatch(request.host)
    if host is None or host["service"] not in services or host["domain"] != DOMAINS[host["service"]]:
        if state.options.check_host:
            raise Refused("host", stranger)
        return "q", DEFAULT_REGION
    if host["region"] not in API_REGIONS or (host["service"] == "codewhisperer" and host["region"] != DEFAULT_REGION):
        raise Refused("host", refusals.UNKNOWN_OPERATION)
    return host["service"], host["region"]


def check_user_agent(request: Request, minimum: str) -> tuple[int, ...]:
    """The KiroIDE version of the user agent; refuses a call without one or with one below `minimum`."""
    found = KIRO_VERSION.search(request.headers.get("user-agent", ""))
    given = version(found[1]) if found else ()
    if minimum and given < version(minimum):
        raise Refused("user_agent", refusals.NOT_AUTHORIZED)
    return given


def authenticate(state: State, request: Request, region: str, *, token_type_matters: bool = True) -> Account:
    """The account whose token this is, with the TokenType header its kind needs, on a host of its region."""
    account = bearer(state, request)
    if not state.options.check_token:
        return account
    given, needed = request.headers.get("tokentype", "").upper(), TOKEN_TYPES.get(account.kind, "")
    if token_type_matters and given != needed and (needed or given in TOKEN_TYPES.values()):
        raise Refused("token_type", refusals.BEARER_INVALID)
    if account.profile_arn is None and account.region != region:
        raise Refused("region", refusals.BEARER_INVALID)
    return account


def bearer(state: State, request: Request) -> Account:
    """The account whose access token was sent; with `check_token` off always the first one."""
    if not state.options.check_token and (first := state.accounts.first()) is not None:
        return first
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused("token", refusals.TOKEN_MISSING)
    account = state.accounts.by_access_token(token.strip(), now=state.clock())
    if account is None:
        raise Refused("token", refusals.BEARER_INVALID)
    return account


def take_step(state: State, request: Request, call: Call) -> tuple[Step | None, Answer | None]:
    """The step queued for this call of a known account, and the answer when the step gives it alone."""
    step = state.script.take(request.path, account=call.account)
    call.scripted = step is not None
    return step, None if step is None else scripted_answer(step)


def json_body(request: Request) -> dict[str, Any]:
    """The body's JSON object; an empty one for anything else."""
    try:
        return mapping(json.loads(request.body))
    except (ValueError, RecursionError):
        return {}


def version(text: str) -> tuple[int, ...]:
    """`0.12.155` as numbers that compare."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())
