from __future__ import annotations

from decimal import Decimal

import pytest

from app.kiro.events import TokenUsage
from app.translate.usage import Usage, UsageMeter


def meter() -> UsageMeter:
    return UsageMeter(input_tokens=1_000, context_tokens=200_000)


def test_an_estimate_stands_where_upstream_says_nothing() -> None:
    assert meter().usage() == Usage(1_000, 0, 0, 0, 0, "estimate", None)


def test_the_window_also_holds_the_answer() -> None:
    measured = meter()
    measured.said("x" * 400)
    measured.context(1.0)
    assert measured.usage() == Usage(1_900, 100, 0, 0, 0, "context", None)


def test_upstream_s_own_counts_win_and_the_last_ones_count() -> None:
    measured = meter()
    measured.context(1.0)
    measured.exact(TokenUsage(1, 2, 3, 4))
    measured.exact(TokenUsage(5, 6, 7, 8))
    measured.exact(TokenUsage(0, 0, 0, 0))
    assert measured.usage() == Usage(5, 6, 0, 7, 8, "exact", None)


@pytest.mark.parametrize(("text", "tokens"), [("abcd", 1), ("abcde", 2), ("你好吗", 2), ("é", 1), ("", 0)])
def test_output_is_estimated_by_script(text: str, tokens: int) -> None:
    measured = meter()
    measured.said(text)
    assert measured.usage().output_tokens == tokens


def test_pieces_count_as_the_whole() -> None:
    measured = meter()
    for character in "twelve chars":
        measured.said(character)
    assert measured.usage().output_tokens == 3


def test_thinking_is_part_of_the_output() -> None:
    measured = meter()
    measured.thought("x" * 40)
    measured.said("x" * 4)
    assert (measured.usage().output_tokens, measured.usage().thinking_tokens) == (11, 10)


def test_credits_add_up_exactly() -> None:
    measured = meter()
    measured.spent(Decimal("0.1"))
    measured.spent(Decimal("0.2"))
    assert measured.usage().credits == Decimal("0.3")
    assert meter().usage().credits is None
