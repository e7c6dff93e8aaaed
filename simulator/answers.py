"""The sensible answer, when no test said what to answer: enough for a person to chat and for an agent to work.

In: a chat call. Out: Kiro events. The same call gets the same answer, except for fresh tool ids, which are an argument.

* It greets, quotes the start of what was written, counts images by their real format, and says how long the talk is.
* A declared tool is called when the text says `call NAME`, `use NAME` or `use the tool NAME` (`` `NAME` `` and `the NAME tool`
  too), in the order of the text; arguments are made up from the schema, or taken from JSON right after the name:
  `call get_weather {"city": "Rome"}`, also with `with` between.
* Tool results are quoted, and no tool is called in that turn.
* Thinking: native reasoning events for a model that has them and was asked for them, else `<thinking>` tags when a text holds
  `<thinking_mode>`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from simulator.chat import USER, ChatCall, context, images, input_tokens, mapping, sequence, text, tool_results
from simulator.images import inspect_base64

Event = tuple[str, Any]
QUOTE_CHARACTERS = 80
HIDDEN_PREFIX = re.compile(r"<system-reminder>.*?</system-reminder>|<thinking_mode>.*?</thinking_mode>", re.DOTALL)
THINKING_MODE = re.compile(r"<thinking_mode>\s*(enabled|adaptive|interleaved)\s*</thinking_mode>")


def compose(call: ChatCall, *, new_tool_id: Callable[[], str]) -> list[Event]:
    """The whole answer."""
    thought, native = _thinking(call)
    answer = _text(call)
    events: list[Event] = []
    if thought and native:
        events += _native_thinking(call, thought)
    elif thought:
        answer = f"<thinking>\n{thought}\n</thinking>\n\n{answer}"
    events += text_events(answer)
    for name, arguments in _wanted_calls(call):
        events += _tool_use(new_tool_id(), name, arguments)
    return [*events, *usage_events(call, answer)]


def text_events(answer: str) -> list[Event]:
    """Text in small pieces: a word each, with the space before it."""
    return [("assistantResponseEvent", {"content": piece}) for piece in re.findall(r"\s*\S+|\s+$", answer)]


def usage_events(call: ChatCall, answer: str) -> list[Event]:
    """Credits spent and how full the context is."""
    tokens = input_tokens(call) + len(answer) // 4
    window = call.model.context_tokens if call.model else 200_000
    rate = call.model.rate if call.model else 1.0
    return [
        ("meteringEvent", {"usage": round(rate * tokens / 250_000, 6), "unit": "credit", "unitPlural": "credits"}),
        ("contextUsageEvent", {"contextUsagePercentage": round(100 * tokens / window, 4)}),
    ]


def sign(call: ChatCall, thought: str) -> str:
    """A signature bound to account, model and text."""
    digest = hashlib.sha512("\x00".join((call.account.id, call.model_id, thought)).encode(errors="replace")).digest()
    return base64.b64encode(b"stand-in" + digest).decode()


def _text(call: ChatCall) -> str:
    results = tool_results(call.current)
    if results:
        answer = "Thank you, the tools answered. " + " ".join(_quoted_result(result) for result in results)
    else:
        prompt = _prompt(call)
        answer = f"Hello from the stand-in for Kiro! You wrote: “{_shortened(prompt)}”." if prompt else "Hello!"
    if (calls := _wanted_calls(call)) and not results:
        answer += " I will call " + " and ".join(name for name, _ in calls) + "."
    formats = Counter(_image_format(data) for _, data in images(call.current))
    if formats:
        count = sum(formats.values())
        kinds = ", ".join(f"{number} {name}" for name, number in sorted(formats.items()))
        answer += f" I see {count} {'image' if count == 1 else 'images'} ({kinds})."
    earlier = sum(kind == USER for kind, _ in call.turns) - 1
    return f"{answer} This is turn {earlier + 1} for {call.model_id}."


def _prompt(call: ChatCall) -> str:
    return HIDDEN_PREFIX.sub("", text(call.current.get("content"))).strip()


def _shortened(quoted: str) -> str:
    line = " ".join(quoted.split())
    return line if len(line) <= QUOTE_CHARACTERS else line[:QUOTE_CHARACTERS].rstrip() + "…"


def _quoted_result(result: dict[str, Any]) -> str:
    parts = [mapping(part) for part in sequence(result.get("content"))]
    said = " ".join(text(part.get("text")) or json.dumps(part.get("json"), ensure_ascii=False) for part in parts)
    kind = "An error" if result.get("status") == "error" else "A result"
    return f"{kind}: “{_shortened(said)}”."


def _image_format(data: str) -> str:
    image = inspect_base64(data)
    return image.format if image else "unknown"


def _thinking(call: ChatCall) -> tuple[str, bool]:
    """What to think (empty: nothing) and whether in native events."""
    thought = f"The user's message has {len(_prompt(call))} characters. I will answer it in a friendly way."
    fields = mapping(call.model_fields)
    if call.model and call.model.thinks and mapping(fields.get("thinking")).get("type") == "adaptive":
        return thought, True
    beginnings = (text(message.get("content")) for kind, message in call.turns if kind == USER)
    return (thought, False) if any(THINKING_MODE.search(beginning) for beginning in beginnings) else ("", False)


def _native_thinking(call: ChatCall, thought: str) -> Iterator[Event]:
    display = mapping(mapping(call.model_fields).get("thinking")).get("display")
    if display != "omitted":
        for piece in re.findall(r"\s*\S+", thought):
            yield "reasoningContentEvent", {"text": piece}
    signature = sign(call, thought)
    half = len(signature) // 2
    yield "reasoningContentEvent", {"signature": signature[:half]}
    yield "reasoningContentEvent", {"signature": signature[half:]}


def _wanted_calls(call: ChatCall) -> list[tuple[str, dict[str, Any]]]:
    """Tools that the text asks for, with arguments."""
    if tool_results(call.current) or "tools" not in context(call.current):
        return []
    prompt = _prompt(call)
    found: list[tuple[int, str, dict[str, Any]]] = []
    for tool in call.tools:
        name = text(tool.get("name"))
        wish = rf"\b(?:call|use)\s+(?:the\s+)?(?:tools?\s+)?[`'\"]?{re.escape(name)}(?![\w-])[`'\"]?(?:\s+tool)?"
        chained = rf"\b(?:and|then)\s+(?:call\s+|use\s+)?(?:the\s+)?[`'\"]?{re.escape(name)}(?![\w-])[`'\"]?"
        asks_at_all = re.search(r"\b(?:call|use)\b", prompt, re.IGNORECASE)
        match = re.search(wish, prompt, re.IGNORECASE) or (asks_at_all and re.search(chained, prompt, re.IGNORECASE))
        if name and match:
            schema = mapping(mapping(tool.get("inputSchema")).get("json"))
            found.append((match.start(), name, _given_arguments(prompt[match.end() :]) or _made_up_object(schema, prompt)))
    return [(name, arguments) for _, name, arguments in sorted(found, key=lambda entry: entry[0])]


def _given_arguments(rest: str) -> dict[str, Any] | None:
    start = re.match(r"[\s(:]*(?:with\s+)?(?=\{)", rest)
    if start is None:
        return None
    try:
        return mapping(json.JSONDecoder().raw_decode(rest, start.end())[0])
    except ValueError:
        return None


def _made_up_object(schema: dict[str, Any], prompt: str) -> dict[str, Any]:
    properties = mapping(schema.get("properties"))
    required = sequence(schema.get("required"))
    names = [name for name in properties if name in required] or list(properties)[:1]
    return {name: _made_up(name, mapping(properties[name]), prompt) for name in names}


def _made_up(name: str, schema: dict[str, Any], prompt: str) -> Any:
    if sequence(schema.get("enum")):
        return schema["enum"][0]
    if "default" in schema:
        return schema["default"]
    kind = schema.get("type")
    kind = next(iter(kind), None) if isinstance(kind, list) else kind
    if kind == "object":
        return _made_up_object(schema, prompt)
    if kind == "array":
        return [_made_up(name, mapping(schema.get("items")), prompt)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    plausible = {"command": "echo hello", "file_path": "/tmp/example.txt", "path": ".", "url": "https://example.test/"}  # noqa: S108
    return {"boolean": True, "null": None}.get(str(kind), plausible.get(name, f"example {name}"))


def _tool_use(tool_id: str, name: str, arguments: dict[str, Any]) -> Iterator[Event]:
    base = {"toolUseId": tool_id, "name": name}
    written = json.dumps(arguments, ensure_ascii=False) if arguments else ""
    yield "toolUseEvent", {**base, "input": "", "stop": False}
    for start in range(0, len(written), 8):
        yield "toolUseEvent", {**base, "input": written[start : start + 8], "stop": False}
    yield "toolUseEvent", {**base, "stop": True}
