from __future__ import annotations

from typing import Any

import pytest

from app.kiro.models import ListedModel
from app.translate.effort import LEVELS, View, clamp, translate_thinking
from app.translate.models import BUILT_IN, described, resolve
from tests.unit.anthropic.bodies import parse, system, user

OPUS_5, SONNET_45 = "claude-opus-5", "claude-sonnet-4.5"


def thinking(model: str, *messages: Any, **fields: Any) -> Any:
    return translate_thinking(parse(*messages, **fields), resolve(model, BUILT_IN))


@pytest.mark.parametrize(
    ("given", "view"),
    [
        (None, View.HIDDEN),
        ({"type": "disabled"}, View.HIDDEN),
        ({"type": "between_tools"}, View.HIDDEN),
        ({"type": "adaptive"}, View.SHOWN),
        ({"type": "adaptive", "display": "summarized"}, View.SHOWN),
        ({"type": "adaptive", "display": "omitted"}, View.OMITTED),
        ({"type": "enabled", "budget_tokens": 1024}, View.SHOWN),
    ],
)
@pytest.mark.parametrize("model", [OPUS_5, SONNET_45])
def test_the_client_sees_what_it_asked_to_see(model: str, given: Any, view: View) -> None:
    assert thinking(model, thinking=given).view is view


def test_a_model_with_fields_is_asked_in_them_and_has_no_tags() -> None:
    asked = thinking(OPUS_5, thinking={"type": "adaptive", "display": "omitted"}, output_config={"effort": "low"})
    assert asked.model_fields == {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}}
    assert not asked.tagged


@pytest.mark.parametrize(("budget", "effort"), [(1_024, "low"), (4_001, "medium"), (16_001, "high"), (64_001, "xhigh")])
def test_a_budget_becomes_an_effort(budget: int, effort: str) -> None:
    asked = thinking(OPUS_5, thinking={"type": "enabled", "budget_tokens": budget}, max_tokens=100_000)
    assert asked.model_fields["output_config"] == {"effort": effort}


@pytest.mark.parametrize(("budget", "length"), [(1_024, 1_024), (24_576, 24_576), (31_999, 24_576)])
def test_a_budget_becomes_a_length_within_the_limit(budget: int, length: int) -> None:
    asked = thinking(SONNET_45, thinking={"type": "enabled", "budget_tokens": budget}, max_tokens=32_000)
    assert asked.prefix == f"<thinking_mode>enabled</thinking_mode><max_thinking_length>{length}</max_thinking_length>"


@pytest.mark.parametrize(("effort", "told"), [(None, "high"), ("low", "low"), ("xhigh", "high"), ("max", "max")])
def test_adaptive_thinking_is_asked_for_by_effort(effort: str | None, told: str) -> None:
    asked = thinking(SONNET_45, thinking={"type": "adaptive"}, output_config={"effort": effort})
    assert asked.prefix == f"<thinking_mode>adaptive</thinking_mode><thinking_effort>{told}</thinking_effort>"


def test_the_last_message_that_names_an_effort_decides() -> None:
    messages = [
        user("Hi"),
        {**system("s"), "output_config": {"effort": "max"}},
        {**system("t"), "output_config": {"effort": None}},
    ]
    assert thinking(OPUS_5, *messages, output_config={"effort": "low"}).model_fields == {"output_config": {"effort": "max"}}


def test_suffixes_of_the_name_ask_too() -> None:
    assert thinking("claude-sonnet-4-5-thinking").tagged
    assert thinking("claude-opus-5:low").model_fields == {"output_config": {"effort": "low"}}


def test_a_request_that_asks_for_nothing_sends_nothing() -> None:
    for model in (OPUS_5, SONNET_45, "gpt-5.6-sol", "auto"):
        assert (thinking(model).model_fields, thinking(model).prefix) == (None, "")


@pytest.mark.parametrize("effort", [*LEVELS, "unheard of"])
@pytest.mark.parametrize("levels", [("low",), ("low", "medium", "high", "max"), ("none", "low"), ("none",), ("new",)])
def test_a_clamped_effort_is_one_the_model_has(effort: str, levels: tuple[str, ...]) -> None:
    assert clamp(effort, levels) in levels
    assert effort not in levels or clamp(effort, levels) == effort


def test_a_field_that_the_model_s_schema_lacks_is_left_out() -> None:
    told = ListedModel(
        "claude-opus-9", fields_schema={"properties": {"thinking": {"properties": {"type": {}}}}}, tells_fields=True
    )
    asked = translate_thinking(parse(thinking={"type": "adaptive"}), resolve("claude-opus-9", (described(told),)))
    assert asked.model_fields == {"thinking": {"type": "adaptive"}}
