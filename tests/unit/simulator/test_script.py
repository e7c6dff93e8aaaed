"""Which call gets which step."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.script import CHAT_PATH, Script


def test_steps_serve_in_order_and_once() -> None:
    script = Script()
    script.add([{"text": "a"}, {"text": "b"}])
    taken = [script.take(CHAT_PATH) for _ in range(3)]
    assert [step.text if step else None for step in taken] == ["a", "b", None]


def test_a_step_waits_for_the_call_it_fits() -> None:
    script = Script()
    script.add(
        [
            {"account": "a", "text": "1"},
            {"model": "m", "text": "2"},
            {"path": "refresh", "text": "3"},
            {"path": "*", "text": "4"},
        ]
    )
    calls: list[tuple[str, str, str]] = [
        (CHAT_PATH, "b", "m"),
        ("/token", "b", ""),
        (CHAT_PATH, "b", "n"),
        (CHAT_PATH, "a", "n"),
    ]
    taken = [script.take(path, account=account, model=model) for path, account, model in calls]
    assert [step.text if step else None for step in taken] == ["2", "3", "4", "1"]
    assert len(script) == 0


def test_a_step_serves_as_often_as_it_says() -> None:
    script = Script()
    script.add([{"times": 2}, {"times": 0, "text": "for ever"}])
    assert [getattr(script.take(CHAT_PATH), "text", "") for _ in range(5)] == [None, None, "for ever", "for ever", "for ever"]


def test_an_unchecked_step_is_for_unchecked_calls_only() -> None:
    script = Script()
    script.add([{"unchecked": True, "status": 500}])
    assert script.take(CHAT_PATH) is None
    assert script.take(CHAT_PATH, unchecked=True) is not None


@pytest.mark.parametrize("wrong", [{"txet": "a"}, {"how": "gently"}, {"corrupt": "everything"}, {"corrupt": {"kind": "crc"}}])
def test_a_misspelt_step_is_refused_and_nothing_is_queued(wrong: dict[str, Any]) -> None:
    script = Script()
    with pytest.raises(ValueError):
        script.add([{"text": "good"}, wrong])
    assert len(script) == 0
