"""JSON as Kiro writes it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kiro.payload import load, load_exactly

ANY_TEXT = st.text(st.characters())  # halves of surrogate pairs too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00 end"', "\ufffd end"),
        (rb'"\uD83D\uDE00"', "😀"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (rb'"\ud83d\ude00\ude00"', "😀\ufffd"),
        (rb'"\ud83dx\ude00"', "\ufffdx\ufffd"),
        (rb'"\\ud83d \ud83d"', "\\ud83d \ufffd"),
        (rb'"\\\ud83d"', "\\\ufffd"),
        (rb'{"\udfff": ["\u0041\ud800"]}', {"\ufffd": ["A\ufffd"]}),
        ('"naïve 😀 \\udead"'.encode(), "naïve 😀 \ufffd"),
    ],
)
def test_half_a_surrogate_pair_is_a_replacement_character(raw: bytes, value: Any) -> None:
    assert load(raw) == value


def readable(value: Any) -> Any:
    """The same value with every half of a pair replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [readable(item) for item in value]
    return {readable(key): readable(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(JSON)
def test_all_that_others_write_is_read_and_can_be_written_again(value: Any) -> None:
    raw = json.dumps(value).encode()
    assert load(raw) == readable(json.loads(raw))
    orjson.dumps(load(raw))


BROKEN = [b"NaN", b"[1e", b'"\\ud83d', b'"\xff"', b'"\\u12"', b"{'a': 1}"]


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode) | st.sampled_from(BROKEN))
def test_anything_else_is_a_value_error(raw: bytes) -> None:
    for read in (load, load_exactly):
        try:
            read(raw)
        except (ValueError, ArithmeticError):
            continue
        json.loads(raw)  # it is JSON to others too


@pytest.mark.parametrize("raw", [b"NaN", b"Infinity", b'{"usage": -Infinity}', b"", b"\xff", b"[" * 2000, b"[" * 100_000])
def test_what_is_not_json_is_refused_by_both(raw: bytes) -> None:
    for read in (load, load_exactly):
        with pytest.raises(ValueError):
            read(raw)


def test_numbers_can_be_read_as_they_were_written() -> None:
    read = load_exactly(rb'{"usage": 0.1000000000000000055511151231257827, "n": 12, "unit": "\ud83d"}')
    assert read == {"usage": Decimal("0.1000000000000000055511151231257827"), "n": Decimal(12), "unit": "\ufffd"}
