"""What the tests of replies start from: a builder with known ids, and any order of Kiro events as a hypothesis strategy."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.anthropic.events import StreamEvent
from app.kiro import events as k
from app.translate.effort import Thinking, View
from app.translate.response import ReplyBuilder
from app.translate.tools import ToolNames

HIDDEN = Thinking(View.HIDDEN, None, "")
NATIVE = Thinking(View.SHOWN, {}, "")
OMITTED = Thinking(View.OMITTED, {}, "")
TAGGED = Thinking(View.SHOWN, None, "<thinking_mode>enabled</thinking_mode>")


def builder(thinking: Thinking = HIDDEN, names: Iterable[str] = ("Bash",), **changes: Any) -> ReplyBuilder:
    """Its calls are `toolu_1`, `toolu_2` …; a signature is `sealed(text|upstream's)`."""
    numbers = itertools.count(1)
    values: dict[str, Any] = {
        "message_id": "msg_1",
        "model": "claude",
        "tool_names": ToolNames(names),
        "thinking": thinking,
        "input_tokens": 10,
        "context_tokens": 200_000,
        "new_tool_id": lambda: f"toolu_{next(numbers)}",
        "sign": lambda text, upstream: f"sealed({text}|{upstream})",
    }
    return ReplyBuilder(**{**values, **changes})


def reply(events: Iterable[k.KiroEvent], thinking: Thinking = HIDDEN, **changes: Any) -> list[StreamEvent]:
    """The whole stream for these events."""
    building = builder(thinking, **changes)
    stream = building.start()
    for event in events:
        stream += building.receive(event)
    return stream + building.finish()


def said(text: str) -> k.AssistantText:
    return k.AssistantText(text)


def thought(text: str = "", signature: str = "", redacted: str = "") -> k.Reasoning:
    return k.Reasoning(text, signature, redacted)


def used(id_: str, input_: str = "", *, stop: bool = False, name: str = "Bash") -> k.ToolUseFragment:
    return k.ToolUseFragment(id_, name, input_, stop)


def cut(draw: st.DrawFn, whole: str) -> list[str]:
    """A text in pieces, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


TEXTS = st.sampled_from(
    ["Hello", "", " ", "\n\n", "<thinking>\nHm.\n</thinking>\n\nYes", "<thinking>", "</thinking>", "`<thinking>`", "😀 <thin"]
) | st.text(max_size=8)
ARGUMENTS = st.sampled_from(["{}", '{"command":"ls"}', '{"a":"\\ud83d\\ude00 \\n"}', '{"a":{"b":{}}}', '{"a":"😀"}'])
CUT_ARGUMENTS = st.sampled_from(["", '{"cut', '{"a":1', "[1]"])


@st.composite
def _calls(draw: st.DrawFn, id_: str) -> list[k.KiroEvent]:
    """One call, cut short, or whole and perhaps twice; its stop may be missing."""
    whole = draw(st.booleans())
    arguments = draw(ARGUMENTS if whole else CUT_ARGUMENTS)
    pieces: list[k.KiroEvent] = []
    for _ in range(draw(st.integers(1, 2)) if whole else 1):
        pieces += [used(id_, piece) for piece in cut(draw, arguments)]
        pieces += [used(id_, stop=True)] * draw(st.integers(0, 1))
    return pieces


@st.composite
def kiro_events(draw: st.DrawFn) -> list[k.KiroEvent]:
    """Events of every kind in any order: ids interleaved, calls repeated, stops missing, signatures in pieces."""
    ids = draw(st.lists(st.sampled_from(["tooluse_1", "tooluse_2", "tooluse_3"]), unique=True))
    queues: list[list[k.KiroEvent]] = [draw(_calls(id_)) for id_ in ids]
    queues.append([said(piece) for text in draw(st.lists(TEXTS, max_size=4)) for piece in cut(draw, text)])
    thinking: list[k.KiroEvent] = []
    for _ in range(draw(st.integers(0, 2))):
        thinking += [thought(piece) for piece in cut(draw, draw(TEXTS))]
        thinking += [thought(signature=piece) for piece in cut(draw, draw(st.sampled_from(["", "c2ln"])))]
    queues += [thinking, [thought(redacted="RW0=")] * draw(st.integers(0, 1)), draw(_figures())]
    events: list[k.KiroEvent] = []
    while queues := [queue for queue in queues if queue]:
        events.append(queues[draw(st.integers(0, len(queues) - 1))].pop(0))
    return events


def _figures() -> st.SearchStrategy[list[k.KiroEvent]]:
    return st.lists(
        st.sampled_from(
            [
                k.ContextUsage(2.5),
                k.ContextUsage(100.0),
                k.Metering(Decimal("0.021"), "credit"),
                k.Metadata(k.TokenUsage(5, 6, 7, 8), "END_TURN", None),
                k.Metadata(None, "CONTENT_FILTERED", k.Refusal("cyber", "no")),
                k.Metadata(k.TokenUsage(0, 0, 0, 0), "UNKNOWN", None),
                k.Ignored("codeReferenceEvent"),
                k.Unknown("newEvent"),
            ]
        ),
        max_size=3,
    )
