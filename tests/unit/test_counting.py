from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from app import counting
from app.anthropic.token_count import VOCABULARIES, count_request
from app.counting import KEPT, SLICE_CHARACTERS, TokenCounts, vocabulary
from app.runtime.clock import TimeLimit
from tests.unit.anthropic.bodies import assistant, count, text, user

LINE = "def answer(question: str) -> int:  # nobody counted this before\n"


def long_text(characters: int, mark: str = "") -> str:
    return (mark + LINE * (characters // len(LINE) + 1))[:characters]


@pytest.fixture
def offloaded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many seconds each piece of work was given; the work is done on the spot."""
    given: list[float] = []

    def offload(work: Callable[[], Any], *, seconds: float) -> Any:
        given.append(seconds)
        return work()

    monkeypatch.setattr(counting, "offload", offload)
    return given


@pytest.fixture
def counts(offloaded: list[float]) -> TokenCounts:
    """Both vocabularies are read."""
    made = TokenCounts()
    for model in ("claude-opus-4-6", "claude-opus-5"):
        made.request(count(user("Hi"), model=model))
    offloaded.clear()
    return made


def test_the_documented_example_costs_what_the_documents_say(counts: TokenCounts) -> None:
    asked = {"system": "You are a scientist"}
    models = ("claude-sonnet-4-5", "claude-opus-4-7", "claude-opus-5")
    found = [counts.request(count(user("Hello, Claude"), model=model, **asked)) for model in models]
    assert found == [14, 24, 19]


def test_a_name_without_a_version_counts_as_the_model_behind_it(counts: TokenCounts) -> None:
    request = count(user("Hello, Claude"), model="sonnet", system="You are a scientist")
    assert (counts.request(request, "claude-sonnet-4.5"), counts.request(request, "claude-opus-4.8")) == (14, 19)


def test_a_text_counts_the_same_again(counts: TokenCounts) -> None:
    request = count(user(long_text(9_000)), assistant("Yes"), user(text(LINE * 3), text(LINE * 5)))
    assert counts.request(request) == counts.request(request) == TokenCounts().request(request)


def test_a_family_s_counts_are_its_own(counts: TokenCounts) -> None:
    requests = [count(user(long_text(4_000)), model=model) for model in ("claude-opus-4-6", "claude-opus-5")]
    older, newer = map(counts.request, requests)
    assert older < newer - 100
    assert list(map(counts.request, requests)) == [older, newer]


def test_the_same_text_after_others_is_not_taken_for_the_first(counts: TokenCounts) -> None:
    opening = "(\n" + long_text(200)
    alone = counts.request(count(user(opening), model="claude-opus-5"))
    after = counts.request(count(user(text("Hi"), text(opening)), model="claude-opus-5"))
    fresh = TokenCounts().request(count(user(text("Hi"), text(opening)), model="claude-opus-5"))
    assert after == fresh
    assert alone == TokenCounts().request(count(user(opening), model="claude-opus-5"))


def test_a_little_new_text_is_counted_at_once(counts: TokenCounts, offloaded: list[float]) -> None:
    counts.request(count(user(long_text(SLICE_CHARACTERS))))
    assert offloaded == []


def test_much_new_text_is_counted_beside_the_event_loop(counts: TokenCounts, offloaded: list[float]) -> None:
    blocks = [text(long_text(SLICE_CHARACTERS // 4, mark=f"{at}")) for at in range(5)]
    request = count(user(*blocks))
    counts.request(request)
    assert len(offloaded) == 1
    counts.request(request)
    assert len(offloaded) == 1  # now it is known
    counts.request(count(user(*blocks), assistant("Yes"), user(long_text(500, mark="new"))))
    assert len(offloaded) == 1


def test_a_vocabulary_is_read_once_and_beside_the_event_loop(offloaded: list[float]) -> None:
    read: list[str] = []

    def reading(name: str) -> Any:
        read.append(name)
        return vocabulary(name)

    made = TokenCounts(reading)
    assert read == []
    for _ in range(2):
        made.request(count(user("Hi"), model="claude-opus-5"))
    assert (read, len(offloaded)) == (["claude-4-7"], 1)


@pytest.mark.parametrize("trouble", [FileNotFoundError("gone"), ValueError("no vocabulary")])
def test_an_unreadable_vocabulary_is_told_once_and_tokens_are_estimated(
    trouble: Exception, offloaded: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    def failing(name: str) -> Any:
        raise trouble

    made = TokenCounts(failing)
    request = count(user(LINE * 20), model="claude-opus-5")
    with caplog.at_level(logging.ERROR):
        assert made.request(request) == made.request(request) == count_request(request)
    assert len(caplog.records) == 1
    assert made.text("claude-opus-5")("Hello") > 0


def test_what_is_not_counted_in_time_is_estimated(counts: TokenCounts, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(work: Callable[[], Any], *, seconds: float) -> Any:
        raise TimeLimit

    request = count(user(long_text(50_000)))
    right = counts.request(request)
    monkeypatch.setattr(counting, "offload", never)
    late = TokenCounts(vocabulary)
    late._tokenizers = counts._tokenizers
    assert late.request(request) == pytest.approx(right, rel=0.25)
    assert late.request(request) == count_request(request)  # an estimate is not remembered as a count


def test_a_pdf_is_counted_once(counts: TokenCounts, offloaded: list[float]) -> None:
    data = base64.b64encode(b"%PDF-1.4" + b" << /Type /Page >>" * 3 + b"\0" * SLICE_CHARACTERS).decode()
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}
    request = count(user(pdf, text("Read")))
    without = counts.request(count(user("Read")))
    assert [counts.request(request) - without for _ in range(2)] == [6000, 6000]
    assert len(offloaded) == 1


def test_what_is_remembered_is_bounded(counts: TokenCounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "KEPT", 10)
    assert KEPT >= 10_000
    for at in range(100):
        counts.request(count(user(f"{at} {LINE} {LINE}")))
    assert len(counts._memory._young) + len(counts._memory._old) <= 20


def test_what_is_asked_for_again_stays_remembered(counts: TokenCounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "KEPT", 10)
    kept = count(user(LINE * 3))
    for at in range(100):
        counts.request(kept)
        counts.request(count(user(f"{at} {LINE} {LINE}")))
    monkeypatch.setattr(TokenCounts, "_new", lambda self, parts, family: 10**6 if parts else 0)
    assert counts.request(kept) < 10**6


def test_a_repeated_conversation_costs_next_to_nothing(counts: TokenCounts) -> None:
    turns = [text(long_text(10_000, mark=f"turn {at} ")) for at in range(100)]
    counts.request(count(user(*turns)))
    longer = count(user(*turns, text(long_text(10_000, mark="new "))))
    began = time.process_time()
    counts.request(longer)
    assert time.process_time() - began < 0.060  # measured: 0.003


def test_half_a_pair_is_counted(counts: TokenCounts) -> None:
    assert counts.request(count(user("\ud800" + LINE * 3))) > 10


def test_both_vocabularies_come_with_the_program() -> None:
    assert all(len(vocabulary(name).pieces) > 10_000 for name in VOCABULARIES)
