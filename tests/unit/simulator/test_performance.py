"""What a step's faults do to the bytes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer, InvalidPayloadLength  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from simulator import frames
from simulator.performance import GARBAGE, Action, End, Pause, Send, perform
from simulator.script import Step

EVENTS = [("assistantResponseEvent", {"content": word}) for word in ("one", " two", " three")]
ENCODED = [frames.event(kind, payload) for kind, payload in EVENTS]


def sent(actions: list[Action]) -> bytes:
    return b"".join(action.data for action in actions if isinstance(action, Send))


def step(**values: Any) -> Step:
    return Step.from_json(values)


def test_a_frame_is_a_chunk_and_the_last_chunk_follows() -> None:
    assert perform(EVENTS, step()) == [*(Send(data) for data in ENCODED), End("last_chunk")]


def test_pauses_stand_between_the_frames() -> None:
    actions = perform(EVENTS, step(delay_between=0.5))
    assert actions == [Send(ENCODED[0]), Pause(0.5), Send(ENCODED[1]), Pause(0.5), Send(ENCODED[2]), End("last_chunk")]


@given(size=st.integers(1, 400), stall=st.none() | st.integers(0, 5))
def test_a_recut_body_is_the_same_body(size: int, stall: int | None) -> None:
    values = {"chunk_bytes": size} | ({} if stall is None else {"stall": {"seconds": 1, "at_frame": stall}})
    actions = perform(EVENTS, step(**values))
    assert sent(actions) == b"".join(ENCODED)
    assert all(0 < len(action.data) <= size for action in actions if isinstance(action, Send))
    assert (Pause(1.0) in actions) == (stall is not None)


@pytest.mark.parametrize("at_frame", [0, 1, 2, 3, 9])
def test_a_stall_comes_before_its_frame(at_frame: int) -> None:
    actions = perform(EVENTS, step(stall=7, at_frame=at_frame))
    before = sent(actions[: actions.index(Pause(7.0))])
    assert before == b"".join(ENCODED[:at_frame])


@given(count=st.integers(0, 500), how=st.sampled_from(["close", "rst", "clean_end"]))
def test_a_cut_keeps_exactly_so_many_bytes(count: int, how: str) -> None:
    actions = perform(EVENTS, step(cut_after_bytes=count, how=how))
    whole = b"".join(ENCODED)
    assert sent(actions) == whole[:count]
    assert actions[-1] == End("last_chunk" if how == "clean_end" else how)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_cut_inside_a_frame_ends_cleanly_on_half_a_frame(count: int) -> None:
    actions = perform(EVENTS, step(cut_after_frames=count, how="inside_frame"))
    half = ENCODED[count][: len(ENCODED[count]) // 2]
    assert sent(actions) == b"".join(ENCODED[:count]) + half
    assert actions[-1] == End("last_chunk")


def test_a_cut_inside_a_chunk_announces_more_than_comes() -> None:
    actions = perform(EVENTS, step(cut_after_frames=1, how="inside_chunk", chunk_bytes=50))
    last = actions[-2]
    assert isinstance(last, Send)
    assert len(last.data) + last.missing_bytes == len(ENCODED[1])
    assert last.missing_bytes > 0
    assert actions[-1] == End("close")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("message_crc", ChecksumMismatch),
        ("prelude_crc", ChecksumMismatch),
        ("garbage", ChecksumMismatch),
        ("huge_length", InvalidPayloadLength),
    ],
)
def test_corruption_is_seen_by_another_decoder_after_the_good_frames(kind: str, error: type[Exception]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(sent(perform(EVENTS, step(corrupt=kind, at_frame=2))))
    assert [buffer.next().payload for _ in range(2)] == [b'{"content":"one"}', b'{"content":" two"}']
    with pytest.raises(error):
        buffer.next()


def test_garbage_stands_before_its_frame() -> None:
    assert sent(perform(EVENTS, step(corrupt="garbage"))) == ENCODED[0] + GARBAGE + ENCODED[1] + ENCODED[2]


def test_bad_json_is_in_a_sound_frame() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(sent(perform(EVENTS, step(corrupt="bad_json"))))
    assert [event.payload for event in buffer] == [b'{"content":"one"}', b'{"content":', b'{"content":" three"}']


@pytest.mark.parametrize(("at_frame", "kept"), [(None, 3), (0, 0), (1, 1), (9, 3)])
def test_an_exception_is_the_last_frame(at_frame: int | None, kept: int) -> None:
    fault = {"type": "ThrottlingException", "message": "slow", "reason": "R"} | (
        {} if at_frame is None else {"at_frame": at_frame}
    )
    expected = frames.exception("ThrottlingException", {"message": "slow", "reason": "R"})
    actions = perform(EVENTS, step(exception=fault))
    assert sent(actions) == b"".join(ENCODED[:kept]) + expected
    assert actions[-1] == End("last_chunk")


def test_an_error_frame_is_the_last_frame() -> None:
    actions = perform(EVENTS, step(error_frame={"code": "C", "message": "M"}, at_frame=1))
    assert sent(actions) == ENCODED[0] + frames.error("C", "M")


def test_an_unknown_event_changes_nothing_else() -> None:
    actions = perform(EVENTS, step(unknown_event="newEvent"))
    assert [action.data for action in actions if isinstance(action, Send)][::2] == [ENCODED[0], ENCODED[1]]
    assert b"newEvent" in sent(actions)
