"""What the next answers do: steps that tests queue, and who gets which.

In: JSON steps. Out: for each call the first queued step that fits, which then has one use less. A chat call takes its step
after all checks passed (a refused call uses none up), unless the step says `unchecked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

CHAT_PATH = "/generateAssistantResponse"
REFRESH_PATHS = ("/refreshToken", "/token", "/oauth2/v2.0/token")  # the last one follows a tenant
CUTS = ("close", "rst", "clean_end", "inside_frame", "inside_chunk")
CORRUPTIONS = ("message_crc", "prelude_crc", "garbage", "huge_length", "bad_json", "wrong_types")


@dataclass(slots=True)
class Step:
    """One scripted answer. Every field may be left out; an empty step is the sensible answer, once.

    Which calls:
    path            the call's path; default the chat path. "refresh" stands for every path that trades tokens, "*" for every
    account         an account's id
    model           the model id in a chat body
    times           how many calls it serves (1); 0: all that come
    unchecked       True: serves the call before token, user agent and body are looked at

    Instead of the usual answer:
    delay_before            seconds before the first byte of the answer (a refresh has rotated by then)
    status, headers, body   an HTTP answer; body is JSON, or a string sent as it is (HTML: set Content-Type in headers)
    json_200                JSON sent with status 200 and Content-Type application/json
    reset_before_headers    True: RST instead of an answer; "close": FIN instead of one
    reset_after_rotate      True (refresh only): rotate the token, then RST without an answer

    What a chat answer says (default: the sensible answer):
    text            text, sent word by word, followed by meteringEvent and contextUsageEvent
    events          list of [event type, payload], sent exactly so
    usage           whether meteringEvent and contextUsageEvent follow; default True for text, False for events

    How it is sent (frames count from 0; a fault's frame is `at_frame`, or its own `{"at_frame": n, ...}`):
    delay_between   seconds between two frames
    chunk_bytes     re-cut the body in pieces of so many bytes; delay_between is then between pieces
    stall           seconds of silence before frame at_frame (default 1), or {"seconds", "at_frame"}
    cut_after_frames, cut_after_bytes, how
                    end the body there. how: close (no last chunk), rst, clean_end (last chunk sent properly),
                    inside_frame (half of the next frame, then the last chunk), inside_chunk (the chunk's size line announces
                    more than comes, then close)
    corrupt         message_crc | prelude_crc | garbage (bytes before the frame) | huge_length | bad_json | wrong_types at
                    frame at_frame (default 1), or {"kind", "at_frame"}
    exception       {"type", "message", "reason", "retryAfterMilliseconds", "at_frame"}: an exception frame before frame
                    at_frame (default: at the end) and a clean end after it
    error_frame     {"code", "message", "at_frame"}: the same with an error frame
    unknown_event   True or an event type: an event nobody knows before frame at_frame (default 1)
    """

    path: str = CHAT_PATH
    account: str | None = None
    model: str | None = None
    times: int = 1
    unchecked: bool = False

    delay_before: float = 0.0
    status: int | None = None
    headers: dict[str, str] | None = None
    body: Any = None
    json_200: Any = None
    reset_before_headers: bool | str = False
    reset_after_rotate: bool = False

    text: str | None = None
    events: list[Any] | None = None
    usage: bool | None = None

    delay_between: float = 0.0
    chunk_bytes: int = 0
    at_frame: int | None = None
    stall: Any = None
    cut_after_frames: int | None = None
    cut_after_bytes: int | None = None
    how: str = "close"
    corrupt: Any = None
    exception: dict[str, Any] | None = None
    error_frame: dict[str, Any] | None = None
    unknown_event: Any = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Step:
        """Raises ValueError for a field or a fault that does not exist: a misspelt fault would test nothing."""
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise ValueError(f"unknown step fields: {', '.join(sorted(unknown))}")
        step = cls(**values)
        if step.how not in CUTS:
            raise ValueError(f"how is one of {', '.join(CUTS)}")
        if step.corrupt is not None and step.fault("corrupt", "kind")[0] not in CORRUPTIONS:
            raise ValueError(f"corrupt is one of {', '.join(CORRUPTIONS)}")
        return step

    def fits(self, path: str, account: str | None, model: str | None) -> bool:
        """Whether this step is for such a call."""
        right_path = self.path in (path, "*") or (self.path == "refresh" and path.endswith(REFRESH_PATHS))
        return right_path and self.account in (None, account) and self.model in (None, model)

    def fault(self, name: str, key: str, default_frame: int | None = 1) -> tuple[Any, int | None]:
        """A fault's value and its frame, whichever of the two forms it was written in."""
        value, frame = getattr(self, name), self.at_frame
        if isinstance(value, Mapping) and key in value:
            value, frame = value[key], value.get("at_frame", frame)
        return value, default_frame if frame is None else frame


class Script:
    """The queue of steps."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def add(self, steps: list[Mapping[str, Any]]) -> int:
        """Queue steps, all or none; how many wait now."""
        self._steps += [Step.from_json(step) for step in steps]
        return len(self._steps)

    def clear(self) -> None:
        """Forget what was queued."""
        self._steps.clear()

    def __len__(self) -> int:
        return len(self._steps)

    def take(self, path: str, *, account: str | None = None, model: str | None = None, unchecked: bool = False) -> Step | None:
        """The first step for this call, used once."""
        for step in self._steps:
            if step.unchecked == unchecked and step.fits(path, account, model):
                if step.times == 1:
                    self._steps.remove(step)
                elif step.times > 1:
                    step.times -= 1
                return step
        return None
