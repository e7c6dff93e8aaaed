"""The official SDK as the judge of our schema: whatever its types can say, we know.

When a new version of the SDK brings a field, a block or a tool, these tests name it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from anthropic.types import beta, message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_tokens_params
from anthropic.types.beta import message_create_params as beta_create_params
from pydantic import BaseModel
from typing_extensions import is_typeddict

from app.anthropic import blocks, options, tools
from app.anthropic.request import CountRequest, Message, MessageRequest

# Arguments of the SDK's methods that it sends as headers.
HEADERS = {"workspace_id", "user_profile_id"}


def fields_of(typed_dict: Any) -> dict[str, Any]:
    return typing.get_type_hints(typed_dict)


def members(annotation: Any) -> Iterator[Any]:
    """The typed dicts of a union, however deep it is nested in lists and optional types."""
    if is_typeddict(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from members(argument)


def tags(typed_dict: Any) -> tuple[str, ...]:
    """The values `type` may have."""
    annotation = fields_of(typed_dict)["type"]
    if get_origin(annotation) is typing.Union:
        annotation = next(argument for argument in get_args(annotation) if argument is not type(None))
    return tuple(map(str, get_args(annotation)))


def ours(union: Any) -> dict[str, type[BaseModel]]:
    """Our classes by the tags they stand for."""
    found: dict[str, type[BaseModel]] = {}
    waiting = [union]
    while waiting:
        item = waiting.pop()
        if isinstance(item, type) and issubclass(item, BaseModel):
            for tag in get_args(item.model_fields["type"].annotation):
                found[tag] = item
        else:
            waiting += get_args(item)
    return found


def known(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("params", "model"),
    [
        (message_create_params.MessageCreateParamsStreaming, MessageRequest),
        (beta_create_params.MessageCreateParamsStreaming, MessageRequest),
        (message_count_tokens_params.MessageCountTokensParams, CountRequest),
        (beta_count_tokens_params.MessageCountTokensParams, CountRequest),
    ],
)
def test_every_field_of_a_request_is_known(params: Any, model: type[BaseModel]) -> None:
    assert set(fields_of(params)) - HEADERS <= known(model)


UNIONS = [
    ("blocks", beta.beta_content_block_param.BetaContentBlockParam, blocks.ContentBlock),
    ("content of a result", beta.beta_tool_result_block_param.Content, blocks.ResultContent),
    ("tools", beta.beta_tool_union_param.BetaToolUnionParam, tools.Tool),
    ("choices", beta.beta_tool_choice_param.BetaToolChoiceParam, tools.ToolChoice),
    ("thinking", beta.beta_thinking_config_param.BetaThinkingConfigParam, options.Thinking),
]


@pytest.mark.parametrize(("theirs", "union"), [union[1:] for union in UNIONS], ids=[union[0] for union in UNIONS])
def test_every_member_of_a_union_is_known_with_its_fields(theirs: Any, union: Any) -> None:
    classes = ours(union)
    seen = 0
    for typed_dict in members(theirs):
        for tag in tags(typed_dict):
            assert tag in classes, f"{typed_dict.__name__} is new"
            model = classes[tag]
            if model.model_config.get("extra") == "forbid":
                assert set(fields_of(typed_dict)) <= known(model), tag
            seen += 1
    assert seen >= 4


@pytest.mark.parametrize(
    ("theirs", "model"),
    [
        (beta.BetaUserMessageParam, Message),
        (beta.BetaAssistantMessageParam, Message),
        (beta.BetaSystemMessageParam, Message),
        (beta.BetaOutputConfigParam, options.OutputConfig),
        (beta.BetaSystemMessageOutputConfigParam, options.MessageOutputConfig),
        (beta.BetaMetadataParam, options.Metadata),
        (beta.BetaContextManagementConfigParam, options.ContextManagement),
        (beta.BetaClearToolUses20250919EditParam, options.ClearToolUses),
        (beta.BetaClearThinking20251015EditParam, options.ClearThinking),
        (beta.BetaCompact20260112EditParam, options.Compact),
        (beta.BetaContainerParams, options.Container),
        (beta.BetaSkillParams, options.Skill),
        (beta.BetaDiagnosticsParam, options.Diagnostics),
        (beta.BetaTokenTaskBudgetParam, options.TaskBudget),
        (beta.BetaJSONOutputFormatParam, options.JsonOutputFormat),
        (beta.BetaUserLocationParam, tools.UserLocation),
        (beta.BetaImageTransformationsParam, blocks.ImageTransformations),
    ],
    ids=lambda item: item.__name__,
)
def test_every_field_of_an_option_is_known(theirs: Any, model: type[BaseModel]) -> None:
    assert set(fields_of(theirs)) <= known(model)


def test_whatever_the_sdk_requires_less_is_not_required_here() -> None:
    """A field the SDK lets its users leave out must not be missed by us."""
    for theirs, union in [union[1:] for union in UNIONS]:
        classes = ours(union)
        for typed_dict in members(theirs):
            optional = fields_of(typed_dict).keys() - typed_dict.__required_keys__
            hints = typing.get_type_hints(typed_dict, include_extras=True)
            required_there = {name for name, hint in hints.items() if "Required[" in str(hint)} | typed_dict.__required_keys__
            for tag in tags(typed_dict):
                required_here = {name for name, field in classes[tag].model_fields.items() if field.is_required()} - {"type"}
                assert not required_here & (optional - required_there), tag
