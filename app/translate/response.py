"""Kiro events as stream events: which block is open, what closes it, how the message ends.

In: Kiro events in any order. Out: stream events of one well-formed message: blocks numbered without gaps, never interleaved,
one signature per thinking block, arguments of a call as they come. A call whose arguments never become a JSON object ends the
message with `max_tokens`; it is never passed off as a call without arguments.
A new Kiro event is one handler and one line of the table. Source: protocol 5.3 to 5.8; Messages API, sections 8 to 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from app.anthropic import events as e
from app.anthropic.events import StreamEvent
from app.anthropic.message import parse_arguments
from app.errors import UpstreamRefused
from app.kiro import events as k
from app.kiro.failures import PROMPT_TOO_LONG
from app.translate.effort import Thinking, View
from app.translate.leaks import LeakedCalls
from app.translate.signatures import REDACTED
from app.translate.thinking import Kind, TagSplitter
from app.translate.tools import ToolNames
from app.translate.usage import Usage, UsageMeter

STOP_REASONS = {
    "END_TURN": "end_turn",
    "MAX_TOKENS": "max_tokens",
    "TOOL_USE": "tool_use",
    "MODEL_CONTEXT_WINDOW_EXCEEDED": "model_context_window_exceeded",
    "PAUSE_TURN": "pause_turn",
    "CONTENT_FILTERED": "refusal",
}
REFUSAL_CATEGORIES = frozenset({"cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"})


@dataclass(slots=True, eq=False)
class _Call:
    """A tool call while it grows. id: the one the client sees. stopped: nothing more is taken of it."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list)
    stopped: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to say of it."""
        return self.stopped or bool(self.pieces)

    @property
    def is_complete(self) -> bool:
        """Whether its arguments are a JSON object; none at all are one, but only when upstream said so."""
        arguments = "".join(self.pieces)
        return isinstance(parse_arguments(arguments), dict) if arguments.strip() else self.stopped

    @property
    def is_whole(self) -> bool:
        """Whether nothing can be added to its arguments. Only looked at behind a brace: it reads all pieces."""
        return bool(self.pieces) and self.pieces[-1].rstrip().endswith("}") and self.is_complete


class Debt(Enum):
    """What upstream was asked for and did not give."""

    CALL = "a call that the client demands"
    ANSWER = "words or a call after a tool's result"


class ReplyBuilder:
    """Builds one message.

    sign: the signature for a thinking block, from its text and upstream's signature ("" when it has none).
    owes_call: the client demands a call; text before it is held back until the call begins, or until the end.
    tools: schemas of the declared tools by upstream's name, to recognise calls that were written as text.
    owes_answer: the client waits for words or a call, because tools have just answered; thinking alone is none.
    has_content: whether a block has begun; after that nothing can be tried again unseen.
    """

    def __init__(
        self,
        *,
        message_id: str,
        model: str,
        tool_names: ToolNames,
        thinking: Thinking,
        input_tokens: int,
        context_tokens: int,
        new_tool_id: Callable[[], str],
        sign: Callable[[str, str], str],
        tools: Mapping[str, Any] | None = None,
        owes_call: bool = False,
        owes_answer: bool = False,
        count: Callable[[str], int] | None = None,
    ) -> None:
        self._message_id = message_id
        self._model = model
        self._names = tool_names
        self._view = thinking.view
        self._tags = TagSplitter() if thinking.tagged else None
        self._new_tool_id = new_tool_id
        self._sign = sign
        self._meter = UsageMeter(input_tokens=input_tokens, context_tokens=context_tokens, count=count)
        self._out: list[StreamEvent] = []
        self._next_index = 0
        self._open: str | None = None  # kind of the open block: text, thinking or tool_use
        self._thought: list[str] = []
        self._signature: list[str] = []
        self._calls: dict[str, _Call] = {}  # by upstream's id
        self._call: _Call | None = None  # the one whose block is open
        self._waiting: list[_Call | k.AssistantText | k.Reasoning] = []  # what came while a call was open
        self._leaks = LeakedCalls(tools or {})
        self.recovered = 0  # calls that were written as text
        self._owes_call = owes_call
        self._owes_answer = owes_answer
        self._held: list[str] = []  # text that a demanded call has to come before the client sees it
        self._has_call = False
        self._cut = False
        self._said_stop: str | None = None
        self._refusal: k.Refusal | None = None
        self.stop_reason: str | None = None

    @property
    def has_content(self) -> bool:
        return self._next_index > 0

    def owes(self) -> Debt | None:
        """What is still owed after the last event; to be asked before `finish`."""
        if self._tags is not None and not self._tags.inside:
            self._split(self._tags.flush())
        if not (self._tags is not None and self._tags.inside):
            self._recover()
        if self._owes_call and not any(call.has_begun for call in self._calls.values()):
            return Debt.CALL
        return Debt.ANSWER if self._owes_answer else None

    @property
    def usage(self) -> Usage:
        """The figures as far as they are known."""
        return self._meter.usage()

    def start(self) -> list[StreamEvent]:
        """Opens the message."""
        return [e.message_start(message_id=self._message_id, model=self._model, input_tokens=self._meter.estimated_input)]

    def receive(self, event: k.KiroEvent) -> list[StreamEvent]:
        """What the client is sent for one event; often nothing. Raises UpstreamRefused for an over-long prompt."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        return self._take()

    def end_at_limit(self) -> None:
        """The client wants no more output than there has been."""
        self._cut = True

    def finish(self) -> list[StreamEvent]:
        """Closes what is open and ends the message; only after upstream's body has ended cleanly."""
        self._end_calls()
        if self._tags is not None:
            self._cut = self._cut or self._tags.inside
            self._split(self._tags.flush())
        self._recover()
        self._let_go()
        self._close()
        self.stop_reason = self._stop_reason()
        usage = self.usage
        self._out.append(
            e.message_delta(
                self.stop_reason,
                None,
                e.final_usage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cache_creation_input_tokens=usage.cache_write,
                    cache_read_input_tokens=usage.cache_read,
                    thinking_tokens=usage.thinking_tokens,
                ),
                stop_details=self._stop_details(),
            )
        )
        self._out.append(e.message_stop())
        return self._take()

    def _take(self) -> list[StreamEvent]:
        out, self._out = self._out, []
        return out

    # -- events --

    def _on_text(self, event: k.AssistantText) -> None:
        if not event.text or self._waits(event):
            return
        if self._tags is None:
            self._text(event.text)
        else:
            self._split(self._tags.feed(event.text))

    def _on_reasoning(self, event: k.Reasoning) -> None:
        if self._view is View.HIDDEN:
            self._meter.thought(event.text)
            return
        if self._waits(event):
            return
        if event.text:
            self._think(event.text)
        if event.signature:
            self._sign_thought(event.signature)
        if event.redacted:
            self._close()
            self._block(e.redacted_thinking_block(self._sign(REDACTED, event.redacted)))
            self._out.append(e.content_block_stop(self._next_index - 1))

    def _on_tool_use(self, event: k.ToolUseFragment) -> None:
        call = self._calls.get(event.tool_use_id)
        if call is None:
            call = self._calls[event.tool_use_id] = _Call(self._new_tool_id(), self._names.to_client(event.name))
            if self._call is not None and self._call.is_complete:
                self._next_call()
        elif call.stopped:
            return  # Kiro sends whole calls twice now and then
        piece = "" if call.is_whole else event.input
        if call is self._call:
            self._grow_call(piece, event.stop)
            return
        if piece:
            call.pieces.append(piece)
        call.stopped = event.stop
        if self._call is None:
            if call.has_begun:  # before that it has no block: it may never say anything
                self._begin_call(call)
        elif call not in self._waiting:
            self._waiting.append(call)

    def _on_context_usage(self, event: k.ContextUsage) -> None:
        self._meter.context(event.percent)

    def _on_metering(self, event: k.Metering) -> None:
        self._meter.spent(event.credits)

    def _on_metadata(self, event: k.Metadata) -> None:
        if event.usage is not None:
            self._meter.exact(event.usage)
        self._said_stop = event.stop_reason or self._said_stop
        self._refusal = event.refusal or self._refusal

    def _on_length_exceeded(self, _event: k.ContentLengthExceeded) -> None:
        if not self.has_content:
            raise UpstreamRefused("prompt is too long", reason=PROMPT_TOO_LONG)
        self._cut = True

    # -- text and thinking --

    def _split(self, pieces: Iterable[tuple[Kind, str]]) -> None:
        for kind, text in pieces:
            if kind is Kind.TEXT:
                self._text(text)
            elif kind is Kind.THINKING:
                self._think(text)
            else:
                self._close()

    def _recover(self) -> None:
        """Upstream has ended: what looked like a call becomes one when no other came, else it is said."""
        text, leaks = self._leaks.finish()
        if text:
            self._say(text)
        for name, arguments in leaks:
            self.recovered += 1
            call = _Call(self._new_tool_id(), self._names.to_client(name), [orjson.dumps(arguments).decode()], stopped=True)
            self._calls[call.id] = call
            self._begin_call(call)

    def _text(self, text: str) -> None:
        if certain := self._leaks.feed(text):
            self._say(certain)

    def _say(self, text: str) -> None:
        if text.strip():
            self._owes_answer = False
        if self._owes_call:
            self._held.append(text)
            return
        if self._open != "text":
            self._close()
            self._block(e.text_block())
            self._open = "text"
        self._meter.said(text)
        self._out.append(e.text_delta(self._next_index - 1, text))

    def _think(self, text: str) -> None:
        if self._open != "thinking" or self._signature:  # a signature ends what it signs
            self._close()
            self._block(e.thinking_block())
            self._open = "thinking"
        self._meter.thought(text)
        self._thought.append(text)
        if self._view is View.SHOWN:
            self._out.append(e.thinking_delta(self._next_index - 1, text))

    def _sign_thought(self, signature: str) -> None:
        """A piece of a signature belongs to the thinking just before it; alone it is thinking that upstream left out."""
        if self._open == "thinking" or self._view is View.OMITTED:
            if self._open == "text":
                self._close()
            self._signature.append(signature)

    def _let_go(self) -> None:
        """The demanded call begins, or nobody waits for it any more: held text is said."""
        self._owes_call = False
        text, self._held = "".join(self._held), []
        if text:
            self._say(text)

    # -- calls --

    def _waits(self, event: k.AssistantText | k.Reasoning) -> bool:
        """Whether an event has to wait for the end of the open call; a complete call ends now."""
        if self._call is None:
            return False
        if not self._call.is_complete:
            self._waiting.append(event)
            return True
        self._next_call()
        return self._waits(event)

    def _begin_call(self, call: _Call) -> None:
        if self._tags is not None:
            self._split(self._tags.flush())
        if text := self._leaks.give_up():
            self._say(text)
        self._owes_answer = False
        self._let_go()
        self._close()
        self._block(e.tool_use_block(call.id, call.name))
        self._meter.called(call.name)
        self._open, self._call = "tool_use", call
        pieces, call.pieces = call.pieces, []
        self._grow_call("".join(pieces), call.stopped)

    def _grow_call(self, fragment: str, stop: bool) -> None:
        call = self._call
        assert call is not None
        if fragment:
            call.pieces.append(fragment)
            self._meter.called(fragment)
            self._out.append(e.input_json_delta(self._next_index - 1, fragment))
        if stop:
            call.stopped = True
            self._next_call()

    def _next_call(self) -> None:
        """The open call is over; what waited for its end comes now, in order."""
        self._close()
        while self._waiting and self._call is None:
            waiting = self._waiting.pop(0)
            if not isinstance(waiting, _Call):
                _HANDLERS[type(waiting)](self, waiting)
            elif waiting.has_begun:
                self._begin_call(waiting)

    def _end_calls(self) -> None:
        """Upstream has ended: no call grows any more."""
        while self._call is not None:
            self._next_call()
        self._cut = self._cut or not all(call.has_begun for call in self._calls.values())

    # -- blocks --

    def _block(self, block: dict[str, Any]) -> None:
        self._out.append(e.content_block_start(self._next_index, block))
        self._next_index += 1

    def _close(self) -> None:
        """Close the open block, if any."""
        kind, self._open = self._open, None
        if kind is None:
            if not self._signature:
                return
            self._block(e.thinking_block())
            kind = "thinking"
        index = self._next_index - 1
        if kind == "thinking":
            thought, signature = "".join(self._thought), "".join(self._signature)
            if thought and self._view is not View.SHOWN:
                thought = signature = ""  # upstream's signature is for a text the client never gets
            self._out.append(e.signature_delta(index, self._sign(thought, signature)))
            self._thought, self._signature = [], []
        elif kind == "tool_use":
            call, self._call = self._call, None
            assert call is not None
            is_complete = call.is_complete
            call.stopped = True
            self._has_call = self._has_call or is_complete
            self._cut = self._cut or not is_complete
        self._out.append(e.content_block_stop(index))

    # -- the end --

    def _stop_reason(self) -> str:
        """What is certain first: a cut, a full window, a refusal, a call; then what upstream says."""
        said = STOP_REASONS.get(self._said_stop or "")
        if said in ("refusal", "model_context_window_exceeded", "max_tokens"):
            return said
        if self._meter.window_is_full:
            return "model_context_window_exceeded"
        if self._cut:
            return "max_tokens"
        if self._has_call:
            return "tool_use"
        return said if said not in (None, "tool_use") else "end_turn"

    def _stop_details(self) -> dict[str, Any] | None:
        if self.stop_reason != "refusal":
            return None
        category = self._refusal.category if self._refusal else None
        return {
            "type": "refusal",
            "category": category if category in REFUSAL_CATEGORIES else None,
            "explanation": self._refusal.explanation if self._refusal else None,
        }


_HANDLERS: dict[type, Callable[[ReplyBuilder, Any], None]] = {
    k.AssistantText: ReplyBuilder._on_text,
    k.ToolUseFragment: ReplyBuilder._on_tool_use,
    k.Reasoning: ReplyBuilder._on_reasoning,
    k.ContextUsage: ReplyBuilder._on_context_usage,
    k.Metering: ReplyBuilder._on_metering,
    k.Metadata: ReplyBuilder._on_metadata,
    k.ContentLengthExceeded: ReplyBuilder._on_length_exceeded,
}
