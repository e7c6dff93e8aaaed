from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.kiro.models import ListedModel, parse_listing, restore

EFFORT = {"type": "object", "properties": {"effort": {"type": "string", "enum": ["low", "high"], "default": "high"}}}
ENTRY: dict[str, Any] = {
    "modelId": "claude-opus-5.5",
    "modelName": "Claude Opus 5.5",
    "description": "The model",
    "rateMultiplier": 2.2,
    "rateUnit": "Credit",
    "tokenLimits": {"maxInputTokens": 1_000_000, "maxOutputTokens": 64_000},
    "supportedInputTypes": ["TEXT", "IMAGE"],
    "additionalModelRequestFieldsSchema": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"output_config": EFFORT, "max_tokens": {"type": "integer"}},
    },
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["properties", "enum", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_an_entry_is_read_whole() -> None:
    (model,) = parse_listing([ENTRY])
    assert model == ListedModel(
        "claude-opus-5.5",
        "Claude Opus 5.5",
        1_000_000,
        64_000,
        True,
        2.2,
        {"properties": {"output_config": {"properties": {"effort": {"enum": ["low", "high"]}}}, "max_tokens": {}}},
        tells_fields=True,
    )


def test_what_is_left_out_is_not_said() -> None:
    (model,) = parse_listing([{"modelId": "auto"}])
    assert model == ListedModel("auto")


def test_no_schema_means_no_fields_only_where_another_model_shows_one() -> None:
    assert [model.tells_fields for model in parse_listing([ENTRY, {"modelId": "auto"}])] == [True, True]
    assert [model.tells_fields for model in parse_listing([{"modelId": "auto"}])] == [False]


def test_a_model_is_listed_once_and_needs_an_id_of_a_sensible_length() -> None:
    entries: list[Any] = [{"modelId": "a"}, {"modelId": "a", "modelName": "again"}, {}, {"modelId": 3}, {"modelId": "x" * 200}]
    assert [model.id for model in parse_listing([*entries, {"modelId": " "}])] == ["a"]
    assert len(parse_listing({"modelId": f"m-{number}"} for number in range(2_000))) == 500


def test_text_only_models_read_no_images() -> None:
    inputs: list[Any] = [["TEXT"], ["TEXT", "IMAGE"], [], None, "IMAGE"]
    found = parse_listing({"modelId": f"m-{at}", "supportedInputTypes": each} for at, each in enumerate(inputs))
    assert [model.images for model in found] == [False, True, None, None, None]


@given(st.dictionaries(st.sampled_from([*ENTRY, "other"]), anything))
def test_any_entry_is_read_and_comes_back_from_json(entry: dict[str, Any]) -> None:
    (model,) = parse_listing([{**entry, "modelId": "a"}])
    assert restore(json.loads(json.dumps(model.as_json()))) == model
