from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.translate.signatures import Seal, Sealer

SEALER = Sealer(b"k" * 32)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(ANY, ANY, ANY)
def test_a_seal_opens_to_what_is_inside(thinking: str, model: str, upstream: str) -> None:
    assert SEALER.open(SEALER.seal(thinking, model, upstream, 7), thinking, model) == Seal(upstream, 7)


@given(st.integers(0, 41), st.integers(1, 255))
def test_a_changed_seal_does_not_open(at: int, change: int) -> None:
    sealed = bytearray(b64decode(SEALER.seal("Hm", "claude", "sig")))
    sealed[at % len(sealed)] ^= change
    assert SEALER.open(b64encode(sealed).decode(), "Hm", "claude") is None


@pytest.mark.parametrize(("thinking", "model"), [("Hm.", "claude"), ("", "claude"), ("Hm", "claude-2"), ("Hm", "")])
def test_a_seal_is_for_one_text_and_one_model(thinking: str, model: str) -> None:
    assert SEALER.open(SEALER.seal("Hm", "claude", "sig"), thinking, model) is None


@pytest.mark.parametrize("foreign", ["", "EqQBCgIYAhIM", "not base64!", "é", "AAAA", b64encode(b"\x0akiro1").decode()])
def test_a_foreign_signature_does_not_open(foreign: str) -> None:
    assert SEALER.open(foreign, "Hm", "claude") is None


def test_another_key_does_not_open_it() -> None:
    assert Sealer(b"x" * 32).open(SEALER.seal("Hm", "claude", "sig"), "Hm", "claude") is None


def test_what_an_older_key_sealed_opens_while_that_key_is_listed() -> None:
    before = SEALER.seal("Hm", "claude", "sig", 7)
    both = Sealer(b"n" * 32, b"k" * 32)
    assert both.open(before, "Hm", "claude") == Seal("sig", 7)
    assert SEALER.open(both.seal("Hm", "claude", "sig"), "Hm", "claude") is None, "the first key seals"


def test_no_key_is_in_a_repr() -> None:
    assert "k" * 32 not in repr(SEALER)


def test_thinking_without_upstream_s_signature_has_a_seal_all_the_same() -> None:
    assert SEALER.open(SEALER.seal("Hm", "claude", ""), "Hm", "claude") == Seal("", 0)
