"""Thinking that comes as tags inside the text: `<thinking>\\n…\\n</thinking>\\n\\nanswer`.

In: pieces of text, cut anywhere. Out: pieces of text and of thinking, and where a section of thinking ends. Any cut gives the
same text and the same thinking; every section is extracted. A tag that is only talked about stays text: in quotes or
backticks, in a code fence, or glued to a word before it. White space around a section belongs to nobody and is dropped.
Source: protocol 5.6; failure corpus 81 and 82.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

OPEN, CLOSE = "<thinking>", "</thinking>"
QUOTES = frozenset("`\"'\\")
FENCE = "```"


class Kind(Enum):
    TEXT = "text"
    THINKING = "thinking"
    END = "end of a section of thinking"


Piece = tuple[Kind, str]


class TagSplitter:
    """Splits one reply. inside: whether a section is open."""

    def __init__(self) -> None:
        self.inside = False
        self._held = ""
        self._blank = True  # nothing but white space since the beginning or the last section
        self._after_section = False
        self._skip_newline = False
        self._line = Line()

    def feed(self, text: str) -> Iterator[Piece]:
        """Everything that is certain after `text`; the rest is held back."""
        self._held += text
        yield from self._scan(final=False)

    def flush(self) -> Iterator[Piece]:
        """Everything that is held back, as at a tool call or at the end; an open section ends."""
        yield from self._scan(final=True)
        if self.inside:
            yield from self._leave()
        self._held = ""

    def _scan(self, *, final: bool) -> Iterator[Piece]:
        moved = True
        while moved and self._held:
            scan = self._scan_thinking if self.inside else self._scan_text
            moved = False
            for piece in scan(final):
                moved = True
                if piece is not None:
                    yield piece

    # Both scans yield at least once, perhaps None, when they used up something that is followed by more to look at.

    def _scan_text(self, final: bool) -> Iterator[Piece | None]:
        at = self._held.find(OPEN)
        if at < 0:
            keep = 0 if final else _partial(self._held, OPEN)
            yield from self._text(len(self._held) - keep, certain=final)
            return
        if at:
            yield from self._text(at, certain=True)
        if len(self._held) == len(OPEN) and not final:
            return
        follows = self._held[len(OPEN) : len(OPEN) + 1]
        if self._line.quotes_a_tag or (follows in QUOTES and follows):
            yield from self._text(1, certain=True)
            yield None
            return
        self._held = self._held[len(OPEN) :]
        self.inside, self._skip_newline = True, True
        self._line.last = ""
        yield None

    def _scan_thinking(self, final: bool) -> Iterator[Piece | None]:
        if self._skip_newline and self._held:
            self._held = self._held.removeprefix("\n")
            self._skip_newline = False
        at = self._held.find(CLOSE)
        if at < 0:
            keep = 0 if final else _partial(self._held, CLOSE)
            yield from self._thinking(len(self._held) - keep)
            return
        if at:
            yield from self._thinking(at)
        follows = self._held[len(CLOSE) : len(CLOSE) + 1]
        if not follows and not final:
            return
        if _is_mentioned(self._line.last, follows):
            yield from self._thinking(1)
            yield None
            return
        self._held = self._held[len(CLOSE) :]
        yield from self._leave()

    def _text(self, length: int, *, certain: bool) -> Iterator[Piece]:
        """Emit so many held characters as text.

        certain: what follows is known. White space around sections and at the very beginning is dropped, but only then.
        """
        text, rest = self._held[:length], self._held[length:]
        if not text:
            return
        if self._blank:
            if not text.strip():
                if certain:
                    self._held = rest
                return
            if self._after_section:
                text = text.lstrip()
        self._held, self._blank = rest, False
        self._line.add(text)
        yield Kind.TEXT, text

    def _thinking(self, length: int) -> Iterator[Piece]:
        text, self._held = self._held[:length], self._held[length:]
        if text:
            self._line.last = text[-1]
            yield Kind.THINKING, text

    def _leave(self) -> Iterator[Piece]:
        self.inside, self._blank, self._after_section = False, True, True
        self._line = Line()
        yield Kind.END, ""


class Line:
    """What matters of the text so far for the next tag: the current line and whether a code fence is open."""

    def __init__(self) -> None:
        self.last = ""
        self._head = ""
        self._ticks = 0
        self._fenced = False

    @property
    def is_fresh(self) -> bool:
        """Whether nothing but blanks stands on the line, outside a code fence."""
        return not self._head and not self._fenced

    @property
    def quotes_a_tag(self) -> bool:
        """Whether a tag here would only be talked about."""
        is_glued = bool(self.last) and not self.last.isspace()
        return is_glued or self._fenced or self._head.startswith(FENCE) or self._ticks % 2 == 1

    def add(self, text: str) -> None:
        """Go on by `text`."""
        *whole, rest = text.split("\n")
        for line in whole:
            self._grow(line)
            if self._head.startswith(FENCE):
                self._fenced = not self._fenced
            self._head, self._ticks = "", 0
        self._grow(rest)
        self.last = text[-1]

    def _grow(self, part: str) -> None:
        if len(self._head) < len(FENCE):
            self._head = (self._head + part.lstrip() if not self._head else self._head + part)[: len(FENCE)]
        self._ticks += part.count("`")


def _is_mentioned(before: str, after: str) -> bool:
    """Whether a closing tag between these characters is only talked about."""
    return before in QUOTES or after in QUOTES or before == after == " "


def _partial(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    if "<" not in text[-len(tag) :]:
        return 0
    return next((length for length in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:length])), 0)
