from __future__ import annotations

import pytest

from app.errors import ModelNotFound
from app.translate.models import BUILT_IN, CatalogueModel, resolve


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-opus-4-5-20251101", "claude-opus-4.5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4.5"),
        ("claude-opus-5[1m]", "claude-opus-5"),
        ("claude-sonnet-4-6[1m]", "claude-sonnet-4.6"),
        ("claude-sonnet-4-5-20250929-thinking", "claude-sonnet-4.5"),
        ("claude-opus-4-7:max", "claude-opus-4.7"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4.5"),
        ("Claude-Sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-4.5-opus-high", "claude-opus-4.5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("opus-4-5", "claude-opus-4.5"),
        ("opus-5", "claude-opus-5"),
        ("opus", "claude-opus-5"),
        ("sonnet", "claude-sonnet-5"),
        ("haiku", "claude-haiku-4.5"),
        ("glm-5", "glm-5"),
        ("gpt-5-6-sol", "gpt-5.6-sol"),
        ("minimax-m2.1", "minimax-m2.1"),
        ("auto", "auto"),
    ],
)
def test_the_catalogue_answers_to_every_spelling(name: str, used: str) -> None:
    resolved = resolve(name, BUILT_IN)
    assert (resolved.asked, resolved.used) == (name, used)


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("claude-3-5-sonnet-20241022", "claude-sonnet-4.5"),
        ("claude-3-7-sonnet-latest", "claude-sonnet-4.5"),
        ("claude-3-opus-20240229", "claude-opus-4.5"),
        ("claude-opus-4-1-20250805", "claude-opus-4.5"),
        ("claude-3-5-haiku-20241022", "claude-haiku-4.5"),
        ("claude-opus-5-5", "claude-opus-5"),
        ("claude-sonnet-5-5", "claude-sonnet-5"),
        ("claude-haiku-5-5", "claude-haiku-4.5"),
    ],
)
def test_a_known_claude_model_the_catalogue_lacks_is_answered_by_its_own_family(name: str, used: str) -> None:
    assert resolve(name, BUILT_IN).used == used


@pytest.mark.parametrize(
    "name",
    ["gpt-4o", "glm-6", "claude-sonnet-9-9", "claude-opus", "claude-fable-5-2", "claude-2.1", "", "claude-opus-4-5"],
)
def test_another_family_never_answers(name: str) -> None:
    only_haiku = (CatalogueModel("claude-haiku-4.5", "Claude Haiku 4.5", 200_000, 64_000, 0),)
    with pytest.raises(ModelNotFound, match="model: "):
        resolve(name, only_haiku)


def test_a_live_catalogue_with_a_newer_model_wins_over_the_mapping() -> None:
    newer = CatalogueModel("claude-opus-5.5", "Claude Opus 5.5", 1_000_000, 128_000, 0)
    assert resolve("claude-opus-5-5", (*BUILT_IN, newer)).used == "claude-opus-5.5"
    assert resolve("opus", (*BUILT_IN, newer)).used == "claude-opus-5.5"


def test_suffixes_ask_for_thinking_and_effort() -> None:
    assert resolve("claude-sonnet-4-5-thinking", BUILT_IN).thinking
    assert resolve("claude-opus-4-7:max", BUILT_IN).effort == "max"
    assert resolve("claude-4.5-opus-high", BUILT_IN).effort == "high"
    plain = resolve("claude-opus-4-7", BUILT_IN)
    assert (plain.thinking, plain.effort) == (False, None)


def test_limits_are_those_of_the_model_used() -> None:
    resolved = resolve("claude-opus-5-5", BUILT_IN)
    assert (resolved.context_tokens, resolved.max_output_tokens) == (1_000_000, 128_000)
