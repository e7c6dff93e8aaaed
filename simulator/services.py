"""Kiro's services: from a request to an answer, scripted or sensible.

In: a request that was read completely, and its record. Out: an answer, still unsent. Each service is one method, found by
method and path; every check that refuses leaves its name in the record.
Source: protocol 1.1 to 1.8, 1.12, 4, 5, 6.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator import answers, refusals
from simulator.accounts import Account, Accounts, RefreshRefused
from simulator.catalogue import offered
from simulator.chat import ChatCall, mapping
from simulator.connection import Request
from simulator.options import Options
from simulator.performance import perform
from simulator.recording import Call, Recording
from simulator.refusals import Refusal
from simulator.replies import Answer, Dropped, Streamed, oauth_error, refuse, request_id, scripted_answer, whole_json
from simulator.script import CHAT_PATH, Script, Step
from simulator.usage import usage_limits
from simulator.validation import validate

CHAT_HOSTS = re.compile(
    r"(?P<service>q|codewhisperer)\.(?P<region>[a-z0-9-]+)\.amazonaws\.com|runtime\.(?P<runtime>[a-z0-9-]+)\.kiro\.dev"
)
REST_HOSTS = re.compile(r"q\.(?P<region>[a-z0-9-]+)\.amazonaws\.com|management\.(?P<management>[a-z0-9-]+)\.kiro\.dev")
SOCIAL_HOSTS = re.compile(r"prod\.(?P<region>[a-z0-9-]+)\.auth\.desktop\.kiro\.dev")
OIDC_HOSTS = re.compile(r"oidc\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")
KIRO_VERSION = re.compile(r"\bKiroIDE-(\d+(?:\.\d+)*)")
CHAT_TARGET = "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
KEPT_SIGNATURES = 10_000


class Refused(Exception):
    """A check failed. rule: its name."""

    def __init__(self, rule: str, refusal: Refusal) -> None:
        super().__init__(rule)
        self.rule = rule
        self.refusal = refusal


@dataclass(slots=True)
class State:
    """Everything the stand-in remembers. first_options: what a reset goes back to."""

    options: Options
    first_options: Options
    accounts: Accounts = field(default_factory=Accounts)
    script: Script = field(default_factory=Script)
    recording: Recording = field(default_factory=Recording)
    # Of the thinking that was answered: account, model, signature.
    signatures: deque[tuple[str, str, str]] = field(default_factory=lambda: deque(maxlen=KEPT_SIGNATURES))


class Services:
    """The services behind one port, told apart by method, path and Host."""

    def __init__(self, state: State, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._services: dict[tuple[str, str], Callable[[Request, Call], Answer]] = {
            ("POST", CHAT_PATH): self._chat,
            ("POST", "/refreshToken"): self._social_refresh,
            ("POST", "/token"): self._oidc_token,
            ("GET", "/getUsageLimits"): self._usage_limits,
            ("GET", "/ListAvailableModels"): self._list_models,
        }

    def answer(self, request: Request, call: Call) -> Answer:
        """The answer to any request outside the control plane."""
        step = self._state.script.take(request.path, unchecked=True)
        if step is not None:
            call.scripted = True
            if (answer := scripted_answer(step)) is not None:
                return answer
        service = self._services.get((request.method, request.path))
        if service is None:
            call.refused_by = "path"
            return refuse(refusals.UNKNOWN_OPERATION)
        try:
            return service(request, call)
        except Refused as error:
            call.refused_by = error.rule
            return refuse(error.refusal)

    # The chat

    def _chat(self, request: Request, call: Call) -> Answer:
        options = self._state.options
        service, region = self._chat_host(request)
        check_user_agent(request, options.user_agent_minimum)
        account = self._authenticate(request, region)
        call.account = account.id
        if service == "runtime" and request.headers.get("x-amz-target") != CHAT_TARGET:
            raise Refused("target", refusals.UNKNOWN_OPERATION)
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise Refused("json", refusals.BODY_NOT_JSON) from error
        chat = ChatCall(body, len(request.body), service, region, account, options, self._known_signatures(account, body))
        call.model = chat.model_id or None
        if (broken := validate(chat)) is not None:
            raise Refused(*broken)
        if account.used >= account.quota and not account.overage:
            raise Refused("quota", refusals.LIMIT_REACHED)
        step = self._state.script.take(CHAT_PATH, account=account.id, model=chat.model_id)
        call.scripted = step is not None
        if step is None:
            step = Step(delay_before=options.delay_before, delay_between=options.delay_between, chunk_bytes=options.chunk_bytes)
        elif (answer := scripted_answer(step)) is not None:
            return answer
        events = _events(step, chat)
        account.used += sum(_credits(payload) for kind, payload in events if kind == "meteringEvent")
        self._remember_signatures(chat, events)
        headers = {"Content-Type": "application/vnd.amazon.eventstream", **request_id(), **(step.headers or {})}
        return Streamed(headers, perform(events, step), step.delay_before)

    def _chat_host(self, request: Request) -> tuple[str, str]:
        host = CHAT_HOSTS.fullmatch(request.host)
        if host is None:
            if self._state.options.check_host:
                raise Refused("host", refusals.CREDENTIAL_INVALID)
            return "q", "us-east-1"
        return ("runtime", host["runtime"]) if host["runtime"] else ("q", host["region"])

    def _known_signatures(self, account: Account, body: Any) -> frozenset[str]:
        message = mapping(
            mapping(mapping(mapping(body).get("conversationState")).get("currentMessage")).get("userInputMessage")
        )
        model = message.get("modelId")
        return frozenset(text for owner, of_model, text in self._state.signatures if (owner, of_model) == (account.id, model))

    def _remember_signatures(self, chat: ChatCall, events: list[answers.Event]) -> None:
        payloads = (mapping(payload) for kind, payload in events if kind == "reasoningContentEvent")
        if signature := "".join(str(payload.get("signature") or "") for payload in payloads):
            self._state.signatures.append((chat.account.id, chat.model_id, signature))

    # Tokens

    def _authenticate(self, request: Request, region: str) -> Account:
        """The account whose token this is, with the TokenType header its kind needs, on a host of its region."""
        accounts = self._state.accounts
        if not self._state.options.check_token and (first := accounts.first()) is not None:
            return first
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("token", refusals.TOKEN_MISSING)
        account = accounts.by_access_token(token.strip(), now=self._clock())
        if account is None:
            raise Refused("token", refusals.BEARER_INVALID)
        token_type = request.headers.get("tokentype", "").upper()
        if (token_type == "API_KEY") != (account.kind == "api_key"):  # noqa: S105
            raise Refused("token_type", refusals.BEARER_INVALID)
        if account.profile_arn is None and account.region != region:
            raise Refused("region", refusals.BEARER_INVALID)
        return account

    def _social_refresh(self, request: Request, call: Call) -> Answer:
        token = str(_body(request).get("refreshToken") or "")
        return self._refresh(request, call, SOCIAL_HOSTS, token, kinds=("social",), client=None)

    def _oidc_token(self, request: Request, call: Call) -> Answer:
        body = _body(request)
        if body.get("grantType") != "refresh_token":
            return oauth_error(400, "unsupported_grant_type", "Only refresh_token is served")
        client = (str(body.get("clientId") or ""), str(body.get("clientSecret") or ""))
        token = str(body.get("refreshToken") or "")
        return self._refresh(request, call, OIDC_HOSTS, token, kinds=("builder_id", "idc"), client=client)

    def _refresh(
        self,
        request: Request,
        call: Call,
        hosts: re.Pattern[str],
        token: str,
        *,
        kinds: tuple[str, ...],
        client: tuple[str, str] | None,
    ) -> Answer:
        options = self._state.options
        host = hosts.fullmatch(request.host)
        if host is None and options.check_host:
            call.refused_by = "host"
            return oauth_error(400, "invalid_request", "Unknown host")
        owner = self._state.accounts.by_refresh_token(token)
        call.account = owner.id if owner else None
        step = self._state.script.take(request.path, account=call.account)
        call.scripted = step is not None
        if step is not None and (answer := scripted_answer(step)) is not None:
            return answer
        try:
            tokens = self._state.accounts.refresh(
                token,
                kinds=kinds,
                client=client,
                region=host["region"] if host else "us-east-1",
                now=self._clock(),
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
        content: dict[str, Any] = {"accessToken": tokens.access_token, "refreshToken": tokens.refresh_token}
        if options.expires_in_sent:
            content["expiresIn"] = int(tokens.expires_in)
        if tokens.account.kind == "social":
            content["profileArn"] = tokens.account.profile_arn
        else:
            content |= {"tokenType": "Bearer", "idToken": None}
        return whole_json(200, content, delay_seconds=delay)

    # REST GETs

    def _rest_account(self, request: Request, call: Call) -> Account:
        """Who calls a REST GET; the rules of the ARN depend on the version in the user agent (protocol 1.4)."""
        options = self._state.options
        host = REST_HOSTS.fullmatch(request.host)
        if host is None and options.check_host:
            raise Refused("host", refusals.UNKNOWN_OPERATION)
        region = (host["region"] or host["management"]) if host else "us-east-1"
        version = check_user_agent(request, options.rest_user_agent_minimum)
        account = self._authenticate(request, region)
        call.account = account.id
        arn = request.query.get("profileArn")
        rule = options.rest_profile_arn
        if rule == "by_version":
            rule = "required" if version >= _version(options.rest_profile_arn_from) else "refused"
        if "profile" in options.rules_off or (rule == "optional" and arn is None):
            return account
        if account.kind == "api_key":
            if arn is not None:
                raise Refused("profile", refusals.PROFILE_INVALID)
        elif rule == "refused":
            if arn is not None:
                raise Refused("profile", refusals.IMPROPERLY_FORMED)
        elif arn is None:
            raise Refused("profile", refusals.PROFILE_REQUIRED)
        elif arn != account.profile_arn:
            raise Refused("profile", refusals.PROFILE_INVALID)
        elif arn.split(":")[3] != region:
            raise Refused("profile", refusals.IMPROPERLY_FORMED)
        return account

    def _usage_limits(self, request: Request, call: Call) -> Answer:
        account = self._rest_account(request, call)
        step = self._take(request, call, account)
        if step is not None and (answer := scripted_answer(step)) is not None:
            return answer
        content = usage_limits(account, with_email=request.query.get("isEmailRequired") == "true", now=self._clock())
        return whole_json(200, content, delay_seconds=step.delay_before if step else 0.0)

    def _list_models(self, request: Request, call: Call) -> Answer:
        account = self._rest_account(request, call)
        step = self._take(request, call, account)
        if step is not None and (answer := scripted_answer(step)) is not None:
            return answer
        models = offered(account.plan)
        try:
            start = int(request.query.get("nextToken", "page-0").removeprefix("page-"))
            size = int(request.query.get("maxResults", self._state.options.models_per_page))
        except ValueError as error:
            raise Refused("paging", refusals.IMPROPERLY_FORMED) from error
        content = {
            "models": [model.describe() for model in models[start : start + size]],
            "defaultModel": {"modelId": "auto"},
            "nextToken": f"page-{start + size}" if start + size < len(models) else None,
        }
        return whole_json(200, content, delay_seconds=step.delay_before if step else 0.0)

    def _take(self, request: Request, call: Call, account: Account) -> Step | None:
        step = self._state.script.take(request.path, account=account.id)
        call.scripted = step is not None
        return step


def check_user_agent(request: Request, minimum: str) -> tuple[int, ...]:
    """The KiroIDE version of the user agent; refuses a call without one or with one below `minimum`."""
    found = KIRO_VERSION.search(request.headers.get("user-agent", ""))
    version = _version(found[1]) if found else ()
    if minimum and version < _version(minimum):
        raise Refused("user_agent", refusals.NOT_AUTHORIZED)
    return version


def new_tool_id() -> str:
    """An id of the shape Kiro gives."""
    return "tooluse_" + secrets.token_urlsafe(16)


def _events(step: Step, chat: ChatCall) -> list[answers.Event]:
    if step.events is not None:
        events: list[answers.Event] = [(str(kind), payload) for kind, payload in step.events]
        closing = answers.usage_events(chat, "") if step.usage else []
    elif step.text is not None:
        events = answers.text_events(step.text)
        closing = [] if step.usage is False else answers.usage_events(chat, step.text)
    else:
        events = answers.compose(chat, new_tool_id=new_tool_id)
        closing = []
        if step.usage is False:
            events = [event for event in events if event[0] not in ("meteringEvent", "contextUsageEvent")]
    return events + closing


def _credits(payload: Any) -> float:
    usage = mapping(payload).get("usage")
    return float(usage) if isinstance(usage, int | float) else 0.0


def _body(request: Request) -> dict[str, Any]:
    try:
        return mapping(json.loads(request.body))
    except (ValueError, RecursionError):
        return {}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
