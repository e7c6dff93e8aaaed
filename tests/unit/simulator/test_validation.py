"""Each cause of a refusal: the request that has it is refused, its neighbour is not, and only that rule does it."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.client import Simulator
from simulator.validation import ALL_RULES, CAUSES
from tests.unit.simulator.bodies import (
    CASES,
    IMPROPER,
    RUNTIME,
    SONNET,
    Case,
    assistant,
    body,
    tool,
    user,
)
from tests.unit.simulator.conftest import Caller


def test_every_cause_has_cases_and_every_case_is_of_a_cause() -> None:
    assert len(CAUSES) == 14
    assert {case.rule for case in CASES} == set(CAUSES)
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_cause_is_refused_with_its_answer(case: Case, simulator: Simulator) -> None:
    account = simulator.add_account(**case.account)
    answer = Caller(simulator, account).chat(case.refused, host=case.host, padding=case.padding[0])
    assert answer.refusal == case.answer
    assert answer.headers["x-amzn-requestid"]
    assert simulator.calls()[-1]["refused_by"] == case.rule


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_neighbour_passes(case: Case, simulator: Simulator) -> None:
    account = simulator.add_account(**(case.account if case.legal_account is None else case.legal_account))
    host = case.legal_host or case.host
    assert Caller(simulator, account).chat(case.legal, host=host, padding=case.padding[1]).status == 200


@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_the_rule_the_cause_passes(case: Case, simulator: Simulator) -> None:
    simulator.options(rules_off=[case.rule])
    account = simulator.add_account(**case.account)
    assert Caller(simulator, account).chat(case.refused, host=case.host, padding=case.padding[0]).status == 200


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_other_rule_refuses_the_cause(case: Case, simulator: Simulator) -> None:
    simulator.options(rules_off=[rule for rule in ALL_RULES if rule != case.rule])
    account = simulator.add_account(**case.account)
    answer = Caller(simulator, account).chat(case.refused, host=case.host, padding=case.padding[0])
    assert answer.refusal == case.answer


GPT_FIELDS = {"reasoning": {"effort": "low"}}
ADAPTIVE = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}}
MORE: list[tuple[str, Any, Any, str, str | None]] = [
    ("known_model", body(model="claude-9"), body(), "Invalid model. Please select", "INVALID_MODEL_ID"),
    (
        "model_fields",
        body(additionalModelRequestFields=ADAPTIVE),
        body(model="claude-opus-5.5", additionalModelRequestFields=ADAPTIVE),
        "additionalModelRequestFields is not supported for this model",
        None,
    ),
    (
        "model_fields",
        body(model="claude-sonnet-5", additionalModelRequestFields=GPT_FIELDS),
        body(model="gpt-5.6-sol", additionalModelRequestFields=GPT_FIELDS),
        "Invalid additionalModelRequestFields: property 'reasoning' is not defined in the schema",
        None,
    ),
    (
        "model_fields",
        body(model="claude-sonnet-4.6", additionalModelRequestFields={"output_config": {"effort": "xhigh"}}),
        body(model="claude-sonnet-5", additionalModelRequestFields={"output_config": {"effort": "xhigh"}}),
        "Invalid additionalModelRequestFields: property 'effort'",
        None,
    ),
    (
        "context_window",
        body("word " * 140_000),
        body("word " * 120_000),
        "Input is too long.",
        "CONTENT_LENGTH_EXCEEDS_THRESHOLD",
    ),
    (
        "thinking_signature",
        body(history=[user(), assistant(" ", reasoningContent={"reasoningText": {"text": "Hm", "signature": "AAAA"}})]),
        body(history=[user(), assistant(" ")]),
        "Invalid signature",
        "THINKING_SIGNATURE_INVALID",
    ),
    (
        "thinking_signature",
        body(history=[user(), assistant(" ", reasoningContent={"text": "Hm", "signature": "AAAA"})]),
        body(history=[user(), assistant(" ", reasoningContent={"redactedContent": "AAAA"})]),
        "Improperly formed",
        "REQUEST_BODY_INVALID",
    ),
]


@pytest.mark.parametrize(("rule", "refused", "legal", "message", "reason"), MORE)
def test_other_rules_refuse_too(rule: str, refused: Any, legal: Any, message: str, reason: str | None, caller: Caller) -> None:
    answer = caller.chat(refused)
    assert answer.status == 400
    assert answer.json["message"].startswith(message)
    assert answer.json["reason"] == reason
    assert caller.chat(legal).status == 200
    caller.simulator.options(rules_off=[rule])
    assert caller.chat(refused).status == 200


def test_too_long_for_the_runtime_host_is_413(caller: Caller) -> None:
    answer = caller.chat(body("word " * 140_000), host=RUNTIME)
    assert answer.status == 413
    assert answer.json["message"].startswith("Context limit reached.")


def test_a_single_long_field_is_refused_on_demand(caller: Caller) -> None:
    assert caller.chat(body("word " * 100)).status == 200
    caller.simulator.options(field_bytes=400)
    assert caller.chat(body("word " * 100)).json["reason"] == "CONTENT_LENGTH_EXCEEDS_THRESHOLD"


def test_disputed_schema_keywords_are_refused_on_demand(caller: Caller) -> None:
    disputed = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "format": "uri"}}}}
    harmless = {"type": "object", "properties": {"format": {"type": "string"}}}
    assert caller.chat(body(tools=[tool(schema=disputed)])).status == 200
    caller.simulator.options(strict_schema=True)
    assert caller.chat(body(tools=[tool(schema=disputed)])).refusal == IMPROPER
    assert caller.chat(body(tools=[tool(schema=harmless)])).status == 200


def test_free_accounts_get_no_older_opus_either(simulator: Simulator) -> None:
    free = Caller(simulator, simulator.add_account(plan="free"))
    assert free.chat(body(model="claude-opus-4.5")).json["reason"] == "INVALID_MODEL_ID"
    assert free.chat(body(model=SONNET)).status == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a": 1'])
def test_what_is_not_json_is_told_so(content: bytes, caller: Caller) -> None:
    answer = caller.chat(content)
    assert answer.refusal == (400, "The request body is not valid JSON.", "REQUEST_BODY_INVALID_JSON", "ValidationException")


WRONG: list[Any] = [None, 5, "text", [], {}, [None], {"a": None}, True]


@pytest.mark.parametrize("off", [[], ["field_values", "profile", "known_model"]], ids=["strict", "lenient"])
def test_a_value_of_any_type_anywhere_is_answered(off: list[str], caller: Caller) -> None:
    caller.simulator.options(rules_off=off)
    for wrong in WRONG:
        for broken in (
            wrong,
            {"conversationState": wrong},
            body(state={"history": wrong}),
            body(state={"history": [{"userInputMessage": wrong}, {"assistantResponseMessage": wrong}]}),
            body(state={"currentMessage": wrong}),
            body(message={"userInputMessageContext": wrong, "images": wrong}),
            body(message={"userInputMessageContext": {"tools": [wrong], "toolResults": [wrong]}, "images": [wrong]}),
            body(tools=[{"toolSpecification": wrong}]),
            body(history=[user(), assistant(toolUses=[wrong], reasoningContent=wrong)]),
            body(message={"content": wrong, "modelId": wrong}),
            {**body(), "profileArn": wrong, "additionalModelRequestFields": wrong},
        ):
            assert caller.chat(broken).status in (200, 400, 403), broken
