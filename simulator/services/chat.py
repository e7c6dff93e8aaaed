"""`generateAssistantResponse`: the gates, the rules, then the scripted or sensible answer as an event stream.

Source: protocol 1.1, 1.3, 4, 5.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from simulator import answers, refusals
from simulator.accounts import Account
from simulator.chat import ChatCall, mapping
from simulator.connection import Request
from simulator.gates import Refused, api_host, authenticate, check_user_agent
from simulator.performance import perform
from simulator.recording import Call
from simulator.refusals import Refusal
from simulator.replies import Answer, Streamed, request_id, scripted_answer
from simulator.script import CHAT_PATH, Step
from simulator.state import State
from simulator.validation import validate

HOSTS = ("q", "codewhisperer", "runtime")
TARGET = "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"


def chat(state: State, request: Request, call: Call) -> Answer:
    """Answer a chat call."""
    options = state.options
    service, region = _host(state, request)
    check_user_agent(request, options.user_agent_minimum)
    account = authenticate(state, request, region)
    call.account = account.id
    if service == "runtime" and request.headers.get("x-amz-target") != TARGET:
        raise Refused("target", refusals.UNKNOWN_OPERATION)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refused("json", refusals.BODY_NOT_JSON) from error
    chat_call = ChatCall(body, len(request.body), service, region, account, options, _known_signatures(state, account, body))
    call.model = chat_call.model_id or None
    if (broken := validate(chat_call)) is not None:
        raise Refused(*broken)
    if account.used >= account.quota and not account.overage:
        raise Refused("quota", refusals.LIMIT_REACHED)
    step = state.script.take(CHAT_PATH, account=account.id, model=chat_call.model_id)
    call.scripted = step is not None
    if step is None:
        step = Step(delay_before=options.delay_before, delay_between=options.delay_between, chunk_bytes=options.chunk_bytes)
    elif (answer := scripted_answer(step)) is not None:
        return answer
    events = _events(step, chat_call)
    account.used += sum(_credits(payload) for kind, payload in events if kind == "meteringEvent")
    _remember_signatures(state, chat_call, events)
    headers = {"Content-Type": "application/vnd.amazon.eventstream", **request_id(), **(step.headers or {})}
    return Streamed(headers, perform(events, step), step.delay_before)


def _host(state: State, request: Request) -> tuple[str, str]:
    """`q` (the oldest host counts as one) or `runtime`, and the region."""
    service, region = api_host(state, request, HOSTS, refusals.CREDENTIAL_INVALID)
    if service == "q" and (status := state.options.q_answers) != 200:
        raise Refused("q_answers", Refusal(status, "This endpoint is no longer available.", None, "UnknownOperationException"))
    return ("runtime" if service == "runtime" else "q"), region


def _known_signatures(state: State, account: Account, body: Any) -> frozenset[str]:
    message = mapping(mapping(mapping(mapping(body).get("conversationState")).get("currentMessage")).get("userInputMessage"))
    model = message.get("modelId")
    return frozenset(text for owner, of_model, text in state.signatures if (owner, of_model) == (account.id, model))


def _remember_signatures(state: State, chat: ChatCall, events: list[answers.Event]) -> None:
    payloads = (mapping(payload) for kind, payload in events if kind == "reasoningContentEvent")
    if signature := "".join(str(payload.get("signature") or "") for payload in payloads):
        state.signatures.append((chat.account.id, chat.model_id, signature))


def _new_tool_id() -> str:
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
        events = answers.compose(chat, new_tool_id=_new_tool_id)
        closing = []
        if step.usage is False:
            events = [event for event in events if event[0] not in ("meteringEvent", "contextUsageEvent")]
    return events + closing


def _credits(payload: Any) -> float:
    usage = mapping(payload).get("usage")
    return float(usage) if isinstance(usage, int | float) else 0.0
