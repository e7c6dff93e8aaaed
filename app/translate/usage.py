"""What an answer cost, from the best source there is.

In: what upstream says and what the client is sent. Out: `Usage` with the source of its input figure: "exact" (upstream's own
counts), "context" (percent of the window that is full), "estimate" (counted here). A figure upstream did not give is never made
up: cache counts are zero then. Source: protocol 5.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from app.kiro.events import TokenUsage

_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Usage:
    """input_tokens: without the cached ones. thinking_tokens: part of output_tokens. credits: as upstream wrote them."""

    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    cache_read: int
    cache_write: int
    source: str
    credits: Decimal | None


class UsageMeter:
    """Collects the figures of one answer. estimated_input: the count made before it was sent."""

    def __init__(self, *, input_tokens: int, context_tokens: int) -> None:
        self.estimated_input = input_tokens
        self._window = context_tokens
        self._exact: TokenUsage | None = None
        self._percent: float | None = None
        self._credits: Decimal | None = None
        self._spoken = [0, 0]  # characters: CJK, other
        self._thought = [0, 0]

    @property
    def window_is_full(self) -> bool:
        return self._percent is not None and self._percent >= 100

    def said(self, text: str) -> None:
        """Text the client gets."""
        _add(self._spoken, text)

    def called(self, piece: str) -> None:
        """A call's name, or a piece of its arguments."""
        _add(self._spoken, piece)

    def thought(self, text: str) -> None:
        """Thinking, shown or not: it is paid for all the same."""
        _add(self._thought, text)

    def context(self, percent: float) -> None:
        """How full upstream says the window is."""
        self._percent = percent

    def exact(self, usage: TokenUsage) -> None:
        """Upstream's own counts; the last ones count. All zero means that it has none."""
        if usage.uncached_input or usage.output or usage.cache_read or usage.cache_write:
            self._exact = usage

    def spent(self, amount: Decimal) -> None:
        """Credits this call cost; several parts add up."""
        self._credits = amount if self._credits is None else self._credits + amount

    def usage(self) -> Usage:
        """The figures as they stand now."""
        thinking = _tokens(self._thought)
        output = max(_tokens(self._spoken) + thinking, 1 if any(self._spoken) else 0)
        if self._exact is not None:
            exact = self._exact
            output = exact.output or output
            return Usage(
                exact.uncached_input, output, min(thinking, output), exact.cache_read, exact.cache_write, "exact", self._credits
            )
        if self._percent is not None and self._percent > 0:
            # The window also holds the answer; what is left is what was read.
            total = int(self._percent * self._window / 100)
            return Usage(max(total - output, 1), output, thinking, 0, 0, "context", self._credits)
        return Usage(self.estimated_input, output, thinking, 0, 0, "estimate", self._credits)


def _add(counts: list[int], text: str) -> None:
    cjk = 0 if text.isascii() else len(_CJK.findall(text))
    counts[0] += cjk
    counts[1] += len(text) - cjk


def _tokens(counts: list[int]) -> int:
    """Two tokens for three CJK characters, one for four others, rounded up."""
    cjk, other = counts
    return (2 * cjk + 2) // 3 + (other + 3) // 4
