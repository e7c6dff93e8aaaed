from __future__ import annotations

import json
import lzma
import random
import string
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic import tokenizer
from app.anthropic.tokenizer import Tokenizer, parse_vocabulary

DATA = Path(tokenizer.__file__).parent / "vocabulary"
# What the reference says of texts that mark the rules, and of languages: `python -m bench.token_count --record`.
RECORDED = json.loads(Path(__file__).with_name("token_counts.json").read_text())
FAMILIES = ("claude-3", "claude-4-7")


@cache
def read(family: str) -> Tokenizer:
    return Tokenizer(parse_vocabulary((DATA / f"{family}.json.xz").read_bytes()))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row", RECORDED, ids=lambda row: ascii(row["text"][:24]))
def test_a_text_costs_what_the_reference_says(row: dict[str, object], family: str) -> None:
    assert read(family).count(str(row["text"])) == row[family]


def test_nothing_costs_nothing() -> None:
    assert read("claude-3").count("") == 0


def test_families_differ() -> None:
    assert [read(family).count("NASA and ESA") for family in FAMILIES] == [4, 7]


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.text())
def test_any_text_is_counted_twice_alike(family: str, text: str) -> None:
    first = read(family).count(text)
    assert first == read(family).count(text)
    assert first <= 6 * len(text) + 2


@given(st.lists(st.sampled_from(["a line of words", "    x = f(1, 'b')", "日本語", "}", "- [ ] item"]), max_size=30))
def test_lines_counted_one_by_one_add_up_nearly(lines: list[str]) -> None:
    texts = [f"{line}\n" for line in lines]
    whole = read("claude-4-7").count("".join(texts))
    assert abs(sum(map(read("claude-4-7").count, texts)) - whole) <= len(texts)


@given(st.text(alphabet="ab1 .,'\n日é", max_size=40), st.text(alphabet="ab1 .,'\n日é", max_size=40))
def test_a_text_in_the_middle_of_words_costs_about_its_own_price(left: str, right: str) -> None:
    both = read("claude-3").count(f"{left} word {right}")
    assert abs(both - read("claude-3").count(f"{left} word") - read("claude-3").count(right)) <= 2


def test_half_a_pair_is_counted() -> None:
    assert read("claude-3").count("a\ud800b") > 2


def _cpu_seconds(text: str) -> float:
    fresh = Tokenizer(parse_vocabulary((DATA / "claude-3.json.xz").read_bytes()))
    began = time.process_time()
    fresh.count(text)
    return time.process_time() - began


@pytest.mark.parametrize("character", ["=", "a", "A", " ", "0", "'", "\n", "日", "é", "\u0301", "😀", "\x00", "’"])
def test_one_character_again_and_again_is_cheap(character: str) -> None:
    assert _cpu_seconds(character * 100_000) < 0.15  # measured: up to 0.015


@pytest.mark.parametrize(
    "alphabet",
    [string.printable, string.punctuation, string.ascii_letters, " \n\t(", "'st ", "".join(map(chr, range(0xA0, 0x3000)))],
    ids=["ascii", "signs", "letters", "gaps", "contractions", "scripts"],
)
def test_chance_is_not_expensive(alphabet: str) -> None:
    assert _cpu_seconds("".join(random.Random(1).choices(alphabet, k=100_000))) < 1.5  # measured: up to 0.25


def test_time_grows_with_length_only() -> None:
    dice = random.Random(2)
    short, long = ("".join(dice.choices(" =-_.(\n", k=size)) for size in (20_000, 200_000))
    assert _cpu_seconds(long) < 40 * max(_cpu_seconds(short), 0.004)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "_KEPT", 50)
    counting = Tokenizer(parse_vocabulary((DATA / "claude-3.json.xz").read_bytes()))
    words = [f"w{'abcdefghij'[at // 10]}{'abcdefghij'[at % 10]}" for at in range(100)]
    first = counting.count(" ".join(words))
    assert len(counting._prices) <= 50
    assert counting.count(" ".join(words)) == first


@pytest.mark.parametrize("data", [b"", b"xz", lzma.compress(b"{}"), lzma.compress(b"["), lzma.compress(b'{"pieces": 1}')])
def test_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_vocabulary(data)


def test_the_data_is_small_and_carries_its_licence() -> None:
    assert sum(file.stat().st_size for file in DATA.iterdir()) <= 130_000
    notice = (DATA / "NOTICE").read_text()
    assert "ctok" in notice
    assert "MIT License" in notice
