from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic.token_estimate import estimate

RECORDED = json.loads(Path(__file__).with_name("token_counts.json").read_text())


@pytest.mark.parametrize(("family", "newer"), [("claude-3", False), ("claude-4-7", True)])
def test_many_texts_are_estimated_nearly(family: str, newer: bool) -> None:
    right = sum(row[family] for row in RECORDED)
    assert abs(sum(estimate(row["text"], newer=newer) for row in RECORDED) / right - 1) < 0.15


@given(st.text(), st.booleans())
def test_any_text_is_estimated(text: str, newer: bool) -> None:
    assert bool(text) <= estimate(text, newer=newer) <= 10 * len(text) + 5
