"""What an answer cost, from the best source there is.

In: what upstream says and what the client is sent. Out: `Usage` with the source of its input figure: "exact" (upstream's own
counts), "context" (percent of the window that is full), "estimate" (counted here). A figure upstream did not give is never made
up: cache counts are zero then. Source: protocol 5.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from app.kiro.events import TokenUsage

# Of what was said and of what was thought so much is counted, at the end and at once (3 ms); the rest costs as much for each
# character. So a long answer takes neither memory nor time.
COUNTED_CHARACTERS = 16 * 1024


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


def _roughly(text: str) -> int:
    """What is said of English."""
    return (len(text) + 3) // 4


class _Collected:
    """Pieces of one kind of text; they are only put down as they come."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._pieces: list[str] = []
        self._kept = 0
        self._characters = 0
        self._known = (0, 0)  # tokens, and of how many characters

    def add(self, piece: str) -> None:
        size = len(piece)
        self._characters += size
        if self._kept < COUNTED_CHARACTERS:
            self._pieces.append(piece)
            self._kept += size

    @property
    def tokens(self) -> int:
        """At least one when there is any text."""
        tokens, characters = self._known
        if characters != self._characters:
            counted = "".join(self._pieces)
            tokens = max(1, round(self._count(counted) * self._characters / len(counted)))
            self._known = tokens, self._characters
        return tokens


class UsageMeter:
    """Collects the figures of one answer. estimated_input: the count made before it was sent. count: tokens of a text."""

    def __init__(self, *, input_tokens: int, context_tokens: int, count: Callable[[str], int] | None = None) -> None:
        self.estimated_input = input_tokens
        self._window = context_tokens
        self._exact: TokenUsage | None = None
        self._percent: float | None = None
        self._credits: Decimal | None = None
        self._spoken = _Collected(count or _roughly)
        self._thought = _Collected(count or _roughly)

    @property
    def window_is_full(self) -> bool:
        return self._percent is not None and self._percent >= 100

    def said(self, text: str) -> None:
        """Text the client gets."""
        self._spoken.add(text)

    def called(self, piece: str) -> None:
        """A call's name, or a piece of its arguments."""
        self._spoken.add(piece)

    def thought(self, text: str) -> None:
        """Thinking, shown or not: it is paid for all the same."""
        self._thought.add(text)

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
        thinking = self._thought.tokens
        if self._exact is not None:
            exact = self._exact
            output = exact.output or self._spoken.tokens + thinking
            return Usage(
                exact.uncached_input, output, min(thinking, output), exact.cache_read, exact.cache_write, "exact", self._credits
            )
        output = self._spoken.tokens + thinking
        if self._percent is not None and self._percent > 0:
            # The window also holds the answer; what is left is what was read.
            total = int(self._percent * self._window / 100)
            return Usage(max(total - output, 1), output, thinking, 0, 0, "context", self._credits)
        return Usage(self.estimated_input, output, thinking, 0, 0, "estimate", self._credits)
