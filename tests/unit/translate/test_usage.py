from __future__ import annotations

from decimal import Decimal

from app.kiro.events import TokenUsage
from app.translate.usage import COUNTED_CHARACTERS, Usage, UsageMeter


def quarter(text: str) -> int:
    return (len(text) + 3) // 4


def meter() -> UsageMeter:
    return UsageMeter(input_tokens=1_000, context_tokens=200_000, count=quarter)


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


def test_output_is_counted_as_one_text_once_it_is_asked_for() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return 7

    measured = UsageMeter(input_tokens=1_000, context_tokens=200_000, count=count)
    for piece in ("Hel", "", "lo"):
        measured.said(piece)
    measured.called("Bash")
    assert counted == []
    assert [measured.usage().output_tokens for _ in range(2)] == [7, 7]
    assert counted == ["HelloBash"]
    measured.said("!")
    assert measured.usage().output_tokens == 7
    assert counted[1:] == ["HelloBash!"]


def test_output_that_upstream_counted_is_not_counted_here() -> None:
    measured = UsageMeter(input_tokens=1, context_tokens=2, count=lambda text: 1 // 0)
    measured.said("Hello")
    measured.exact(TokenUsage(5, 6, 7, 8))
    assert measured.usage().output_tokens == 6


def test_a_long_answer_is_counted_by_its_beginning() -> None:
    sizes: list[int] = []

    def count(text: str) -> int:
        sizes.append(len(text))
        return quarter(text)

    measured = UsageMeter(input_tokens=1, context_tokens=200_000, count=count)
    for _ in range(10_000):
        measured.said("twelve chars")
    assert measured.usage().output_tokens == 30_000
    assert sizes == [COUNTED_CHARACTERS + 8]  # the piece that reaches the bound is kept whole


def test_any_text_is_a_token() -> None:
    measured = UsageMeter(input_tokens=1, context_tokens=2, count=lambda text: 0)
    assert measured.usage().output_tokens == 0
    measured.said("a")
    assert measured.usage().output_tokens == 1


def test_without_a_counter_output_is_guessed() -> None:
    measured = UsageMeter(input_tokens=1, context_tokens=2)
    measured.said("The quick brown fox jumps over the lazy dog, twice.")
    assert 8 <= measured.usage().output_tokens <= 25


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
