"""Writes the data of the token counter: the pieces of Claude's two vocabularies, as measured by the package `ctok` (MIT).

In: an installed `ctok` (Python 3.12 or newer; nothing the gateway itself needs). Out: two compressed files and their licence in
`app/anthropic/vocabulary`. Only data is taken over; the engine in `app/anthropic/tokenizer.py` is our own. The same release
always gives the same bytes.

    python3.12 -m venv v && v/bin/pip install ctok==1.3.0 && v/bin/python tools/token_vocabulary.py
"""

from __future__ import annotations

import json
import lzma
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import ctok

TARGET = Path(__file__).parents[1] / "app" / "anthropic" / "vocabulary"
FAMILIES = {"claude-3": "3.0", "claude-4-7": "4.7"}
# The package's markers as characters no text holds once it is cleaned.
MARKERS = {"⟨bow⟩": "\x01", "⟨eow⟩": "\x02", "⟨shift⟩": "\x03", "⟨caps⟩": "\x04"}
NOTICE = """\
The files beside this one hold data of ctok {version} (https://github.com/sanderland/ctok): which pieces of text are one token.
tools/token_vocabulary.py wrote them. The package's licence:

{licence}"""
# A letter that no mark combines with: what keeps the word whole belongs to words.
LETTER = "\u10d0"


def marked(text: str) -> str:
    """Our characters for the package's markers."""
    for name, character in MARKERS.items():
        text = text.replace(name, character)
    return text


def pieces(release: str) -> tuple[list[str], list[str]]:
    """Pieces of text, and beginnings of characters (UTF-8, hexadecimal) that are one token."""
    texts, beginnings = [], []
    for piece, evidence in ctok.pieces(release).items():
        if evidence["kind"] == "prefix":
            beginnings.append(piece)
        else:
            ended = "\x02" if evidence["kind"] == "contraction" else ""
            texts.append(marked(piece) + ended)
    return sorted(texts), sorted(beginnings)


def letters() -> list[list[int]]:
    """Ranges of the characters words consist of, beside the ASCII letters."""
    ranges: list[list[int]] = []
    for code in range(0xA0, 0x10000):
        if 0xD800 <= code < 0xE000 or 0xE000 <= code < 0xF900:  # surrogates, private use
            continue
        if marked(ctok.marked_stream(LETTER + chr(code) + LETTER, "4.7")).count("\x01") != 1:
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def write(name: str, content: dict[str, Any]) -> None:
    """One compressed file."""
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
    packed = lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)
    (TARGET / f"{name}.json.xz").write_bytes(packed)


def licence() -> str:
    """The text the package is published under."""
    found = next(file for file in files("ctok") or () if file.name == "LICENSE")
    return found.read_text()


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    ranges = letters()
    for name, release in FAMILIES.items():
        texts, beginnings = pieces(release)
        write(name, {"pieces": texts, "beginnings": beginnings, "letters": ranges})
    (TARGET / "NOTICE").write_text(NOTICE.format(version=version("ctok"), licence=licence()))


if __name__ == "__main__":
    main()
