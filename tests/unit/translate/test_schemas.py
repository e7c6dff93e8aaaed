from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.translate.schemas import MAX_NODES, clean_schema, has_nulls, without_nulls

STRING = {"type": "string"}
KEYWORDS = st.sampled_from(
    "type properties required items anyOf oneOf allOf $ref $defs enum const default minimum additionalProperties not "
    "description format a".split()
) | st.just("")
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.sampled_from(["object", "string", "array", "null", "#", "#/$defs/a", "#/properties/a", "elsewhere", ""])
)
NONSENSE = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4), max_leaves=20
)
REFUSED = {"$ref", "$defs", "additionalProperties", "not", "const"}


def _sound(schema: Any) -> bool:
    """No null, no keyword that is refused, the right kind behind every keyword, at every depth."""
    if not isinstance(schema, dict) or REFUSED & schema.keys():
        return False
    if not all(isinstance(name, str) and name for name in schema.get("properties", {})):
        return False
    parts = list(schema.get("properties", {}).values()) + ([schema["items"]] if "items" in schema else [])
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema and not (isinstance(schema[union], list) and schema[union]):
            return False
        parts += schema.get(union, [])
    required = schema.get("required", ["x"])
    return bool(required) and not has_nulls({k: v for k, v in schema.items() if k != "properties"}) and all(map(_sound, parts))


@settings(max_examples=500)
@given(NONSENSE)
def test_whatever_a_client_declares_becomes_an_object_schema(schema: Any) -> None:
    cleaned = clean_schema(schema)
    assert cleaned["type"] == "object"
    assert isinstance(cleaned["properties"], dict)
    assert not {"anyOf", "oneOf", "allOf"} & cleaned.keys()
    assert set(cleaned.get("required", ())) <= cleaned["properties"].keys()
    assert _sound(cleaned)


@settings(max_examples=200)
@given(NONSENSE)
def test_what_is_clean_stays_as_it_is(schema: Any) -> None:
    cleaned = clean_schema(schema)
    assert clean_schema(cleaned) == cleaned


@settings(max_examples=200)
@given(NONSENSE)
def test_the_strict_form_has_only_words_no_host_refused(schema: Any) -> None:
    def words(node: dict[str, Any]) -> set[str]:
        parts = [*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])]
        return set(node).union(*map(words, parts))

    kept = {"type", "title", "description", "properties", "required", "items", "enum"}
    assert words(clean_schema(schema, strict=True)) <= kept


def test_a_reference_keeps_what_stands_beside_it() -> None:
    base = {"properties": {"a": STRING}, "required": ["a"]}
    schema = {"$ref": "#/$defs/A", "properties": {"b": STRING}, "required": ["b"], "$defs": {"A": base}}
    assert clean_schema(schema) == {"type": "object", "properties": {"a": STRING, "b": STRING}, "required": ["a", "b"]}


def test_one_part_of_all_of_adds_its_properties_at_every_depth() -> None:
    part = {"allOf": [{"type": "object", "properties": {"a": STRING}}], "properties": {"b": STRING}}
    both = {"a": STRING, "b": STRING}
    assert clean_schema(part)["properties"] == both
    assert clean_schema({"properties": {"o": part}})["properties"]["o"]["properties"] == both


def test_an_optional_value_is_its_type() -> None:
    schema = {"properties": {"a": {"anyOf": [STRING, {"type": "null"}], "description": "d"}}}
    assert clean_schema(schema)["properties"]["a"] == {"type": "string", "description": "d"}


@pytest.mark.parametrize("at", [["$defs", "A/B"], ["$defs", "A~B"]])
def test_a_pointer_may_escape_its_characters(at: list[str]) -> None:
    reference = "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in at)
    schema = {"properties": {"x": {"$ref": reference}}, "$defs": {at[1]: STRING}}
    assert clean_schema(schema)["properties"]["x"] == STRING


def test_references_that_double_at_every_step_do_not_explode() -> None:
    definitions = {
        f"d{at}": {"properties": {"l": {"$ref": f"#/$defs/d{at + 1}"}, "r": {"$ref": f"#/$defs/d{at + 1}"}}} for at in range(30)
    }
    cleaned = clean_schema({"$ref": "#/$defs/d0", "$defs": definitions})
    assert str(cleaned).count("properties") < 2 * MAX_NODES


def test_a_schema_of_any_depth_is_cut_and_not_a_failure() -> None:
    deep: dict[str, Any] = STRING
    for _ in range(2_000):
        deep = {"type": "object", "properties": {"a": deep}}
    assert clean_schema(deep)["type"] == "object"


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ({"a": None, "": 1, "b": 2}, {"b": 2}),
        ({"a": [None, {"": 0}]}, {"a": ["", {}]}),
        ({"a": {"b": [[None]]}}, {"a": {"b": [[""]]}}),
    ],
)
def test_nulls_and_empty_keys_are_left_out_at_every_depth(value: Any, clean: Any) -> None:
    assert has_nulls(value)
    assert without_nulls(value) == clean
    assert not has_nulls(clean)
