"""Counts tokens for this process: reads vocabularies when they are first needed, remembers, keeps long work off the loop.

In: a parsed request, or a text, and the ids of its model. Out: a number of tokens; never an exception. A conversation comes
again in each of its turns, so what was counted is kept, longer texts under their hash. More than SLICE_CHARACTERS of new text,
or a PDF, are counted in a thread. Where a vocabulary cannot be read, and where a thread does not answer in time, an estimate
stands in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from app.anthropic.request import CountRequest
from app.anthropic.token_count import CLAUDE_3, Family, count_pdf, family_of, what_is_read
from app.anthropic.token_estimate import estimate
from app.anthropic.tokenizer import Tokenizer, Vocabulary, parse_vocabulary
from app.runtime.clock import TimeLimit
from app.runtime.offload import offload

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "anthropic" / "vocabulary"
SLICE_CHARACTERS = 16 * 1024  # at 3 to 6 MB/s: 3 to 6 ms
SHORT_CHARACTERS = 96  # kept as they are: cheaper than a hash
KEPT = 20_000  # in each of two generations; 200 bytes each
THREAD_SECONDS = 20.0


def vocabulary(name: str) -> Vocabulary:
    """One of the vocabularies that come with the program. Raises OSError or ValueError."""
    return parse_vocabulary((FOLDER / f"{name}.json.xz").read_bytes())


Key = bytes | tuple[str, str]


class _Memory:
    """Counts by key, in two generations: what the older one holds and is asked for moves to the younger."""

    def __init__(self) -> None:
        self._young: dict[Key, int] = {}
        self._old: dict[Key, int] = {}

    def get(self, key: Key) -> int | None:
        count = self._young.get(key)
        if count is None and (count := self._old.get(key)) is not None:
            self.put(key, count)
        return count

    def put(self, key: Key, count: int) -> None:
        if len(self._young) >= KEPT:
            self._old, self._young = self._young, {}
        self._young[key] = count


class _Part(NamedTuple):
    """Something to count: a text, more of one, or a PDF."""

    kind: str
    content: str

    def key(self, vocabulary: str) -> Key:
        salt = f"{vocabulary} {self.kind}"
        if len(self.content) <= SHORT_CHARACTERS:
            return salt, self.content
        return blake2b(self.content.encode(errors="surrogatepass"), digest_size=16, person=salt.encode()).digest()


class TokenCounts:
    """One object per process. read: gives a vocabulary by its name."""

    def __init__(self, read: Callable[[str], Vocabulary] = vocabulary) -> None:
        self._read = read
        self._tokenizers: dict[str, Tokenizer | None] = {}
        self._memory = _Memory()

    def request(self, request: CountRequest, *models: str) -> int:
        """Tokens of everything a request makes the model read, at least 1. models: more ids of its model."""
        family = family_of(request.model, *models)
        self._load(family.vocabulary)
        reading = what_is_read(request, family)
        total, new = reading.tokens, []
        for kind, contents in (("text", reading.texts), ("more", reading.further), ("pdf", reading.pdfs)):
            for content in contents:
                part = _Part(kind, content)
                key = part.key(family.vocabulary)
                known = self._memory.get(key)
                if known is None:
                    new.append((key, part))
                else:
                    total += known
        return max(1, total + self._new(new, family))

    def text(self, *models: str) -> Callable[[str], int]:
        """Counts texts for a model, at once."""
        family = family_of(*models)
        self._load(family.vocabulary)
        return lambda text: self._count(_Part("text", text), family)

    def _new(self, parts: list[tuple[Key, _Part]], family: Family) -> int:
        """Count and remember. Much work is given to a thread, which only counts."""

        def work() -> list[int]:
            return [self._count(part, family) for _, part in parts]

        if sum(len(part.content) for _, part in parts) <= SLICE_CHARACTERS:
            counts = work()
        else:
            try:
                counts = offload(work, seconds=THREAD_SECONDS)
            except TimeLimit:
                log.warning("the tokens of a request were not counted in time and are estimated")
                return sum(_about(part.content, family) for _, part in parts if part.kind != "pdf")
        if family.vocabulary in self._tokenizers:  # else these are estimates for now
            for (key, _), count in zip(parts, counts, strict=True):
                self._memory.put(key, count)
        return sum(counts)

    def _count(self, part: _Part, family: Family) -> int:
        if part.kind == "pdf":
            return count_pdf(part.content)
        tokenizer = self._tokenizers.get(family.vocabulary)
        if tokenizer is None:
            return _about(part.content, family)
        return tokenizer.count(part.content, begins=part.kind == "text")

    def _load(self, name: str) -> None:
        """Read a vocabulary that is not there yet; that takes a tenth of a second."""
        if name in self._tokenizers:
            return
        try:
            self._tokenizers[name] = offload(lambda: Tokenizer(self._read(name)), seconds=THREAD_SECONDS)
        except TimeLimit:
            log.warning("the vocabulary %s was not read in time; tokens are estimated until it is", name)
        except (OSError, ValueError) as error:
            log.error("tokens are only estimated: the vocabulary %s cannot be read (%s)", name, error)
            self._tokenizers[name] = None


def _about(text: str, family: Family) -> int:
    return estimate(text, newer=family is not CLAUDE_3)
