"""What in a document Kiro is known to refuse, in the client's terms: for refusals that name nothing.

In: a document that was refused. Out: sentences that name the offending part, none when nothing is known to be wrong. Changes
nothing and never fails, whatever the document holds: it is asked when something has gone wrong already. Cannot know what only
shows with the credential of an attempt: its profile ARN and its plan (causes 8 and 13).

A client's message and a turn of Kiro's are not the same (neighbours are merged, fillers added), so turns are counted as Kiro
sees them, the first after the system text being turn 1. Source: protocol 4.4, whose numbers stand at `_CHECKS`.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Any

from app.errors import UpstreamRefused
from app.kiro.request import ASSISTANT, KiroRequest, serialise
from app.translate.images import sniff
from app.translate.request import SYSTEM_ACCEPTED
from app.translate.schemas import has_nulls
from app.translate.shrink import MANY_IMAGES, MAX_SIDE_PIXELS, MAX_SIDE_PIXELS_OF_MANY
from app.translate.tools import MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, ToolNames

USER = "userInputMessage"
GENERAL_REASONS = frozenset({"", "REQUEST_BODY_INVALID"})
MOST_TOLD = 3
NOTHING_FOUND = "The gateway's own checks found nothing wrong with it; `flask --app wsgi requests ID` shows what was tried."
MOST_SHOWN_CHARACTERS = 80
IMAGE_FORMATS = ("png", "jpeg", "gif", "webp")
MOST_IMAGE_CHARACTERS = 5 * 1024 * 1024
MOST_ATTACHMENTS, MOST_DOCUMENTS = 100, 5
# 3.4 MB were answered and 4.5 MB were not; hundreds of tools were and 1389 were not. Source: protocol 3.6 and 4.3.
LARGE_BYTES = 4_000_000
MANY_TOOLS = 1_000

_ENUMERATIONS = {
    "chatTriggerType": frozenset({"MANUAL", "DIAGNOSTIC", "INLINE_CHAT"}),
    "agentTaskType": frozenset({"vibe", "spectask"}),
    "origin": frozenset({"AI_EDITOR", "KIRO_CLI", "CLI"}),  # of the many in protocol 3.2 those that gateways send
    "status": frozenset({"success", "error"}),
}
_TOOLS_OWN = frozenset({"input", "inputSchema", "json"})
_UNIONS = ("anyOf", "oneOf", "allOf")
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
_NO_SCHEMAS = frozenset({"enum", "const", "default", "examples", "required"})
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_NOT_DOTTED = re.compile(r"\d-\d|_")


def problems(request: KiroRequest, names: ToolNames | None = None) -> list[str]:
    """Everything known to be refused, each once. names: gives tools their client's names; without it they keep Kiro's."""
    document = _Document(request, names)
    return list(dict.fromkeys(problem for check in _CHECKS for problem in check(document)))


def advice(request: KiroRequest, refusal: UpstreamRefused, names: ToolNames | None = None) -> str:
    """What to tell beside a final refusal, "" for one that explains itself."""
    if refusal.upstream_status != 400 or (refusal.reason or "") not in GENERAL_REASONS:
        return ""
    found = problems(request, names)
    return f"Likely cause: {'; '.join(found[:MOST_TOLD])}." if found else NOTHING_FOUND


# -- the document, read without trusting a type --


@dataclass(frozen=True, slots=True)
class _Turn:
    """One turn. where: what a person calls it. kind: USER, ASSISTANT, or "" for an entry that is neither."""

    where: str
    kind: str
    message: dict[str, Any]

    @property
    def calls(self) -> list[dict[str, Any]]:
        return _objects(self.message.get("toolUses")) if self.kind == ASSISTANT else []

    @property
    def results(self) -> list[dict[str, Any]]:
        return _objects(_object(self.message.get("userInputMessageContext")).get("toolResults")) if self.kind == USER else []

    @property
    def images(self) -> list[dict[str, Any]]:
        return _objects(self.message.get("images")) if self.kind == USER else []


class _Document:
    """turns: the current one last. tools: the specifications."""

    def __init__(self, request: KiroRequest, names: ToolNames | None) -> None:
        self.request = request
        self.state = request.conversation_state
        self.turns = _turns(self.state)
        self.current = self.turns[-1].message
        self.declared = _objects(_object(self.current.get("userInputMessageContext")).get("tools"))
        self.tools = [_object(entry.get("toolSpecification")) for entry in self.declared]
        self._names = names

    def tool(self, name: object) -> str:
        """What the client calls a tool."""
        text = _text(name)
        return f"tool {_shown(text if self._names is None else self._names.to_client(text))}"


def _turns(state: dict[str, Any]) -> list[_Turn]:
    history = _list(state.get("history"))
    entries = [_object(entry) for entry in [*history, state.get("currentMessage")]]
    is_system = len(entries) > 2 and _object(entries[1].get(ASSISTANT)).get("content") == SYSTEM_ACCEPTED
    turns = []
    for at, entry in enumerate(entries):
        number = at - 1 if is_system else at + 1
        kinds = [kind for kind in (USER, ASSISTANT) if kind in entry]
        kind = kinds[0] if len(kinds) == 1 else ""
        where = f"turn {number} of the conversation" if number > 0 else "the system text"
        turns.append(_Turn(where, kind, _object(entry.get(kind))))
    return turns


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [_object(item) for item in _list(value)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(text: str) -> str:
    """Short enough for an error message."""
    return text if len(text) <= MOST_SHOWN_CHARACTERS else f"{text[:MOST_SHOWN_CHARACTERS]}…"


# -- turns, calls and results --


def _empty_turns(document: _Document) -> Iterator[str]:
    for turn in document.turns:
        said = turn.message.get("content", "")
        blank = isinstance(said, str) and not said.strip()
        if turn.kind == ASSISTANT and said == "":
            yield f"{turn.where}: the reply has no text, not even a space"
        elif turn.kind == USER and blank and not turn.results and not turn.images:
            yield f"{turn.where}: the user says nothing"


def _pairing(document: _Document) -> Iterator[str]:
    used: set[str] = set()
    before, waiting = "", Counter[str]()
    for turn in document.turns:
        answered = Counter(_text(result.get("toolUseId")) for result in turn.results)
        for id_ in waiting:
            if id_ not in answered:
                yield f"{before}: call {_shown(id_)} has no result in the turn after it"
        for id_, times in answered.items():
            if id_ not in waiting:
                yield f"{turn.where}: result {_shown(id_)} answers no call of the turn before it"
            elif times > 1:
                yield f"{turn.where}: call {_shown(id_)} has more than one result"
        before, waiting = turn.where, Counter(_text(call.get("toolUseId")) for call in turn.calls)
        for id_, times in waiting.items():
            if times > 1 or id_ in used:
                yield f"{turn.where}: the id of call {_shown(id_)} is used more than once"
        used.update(waiting)


def _undeclared(document: _Document) -> Iterator[str]:
    if not document.tools:
        if any(turn.calls or turn.results for turn in document.turns):
            yield "tools were used in the conversation, but none are declared"
        return
    declared = {_text(tool.get("name")).lower() for tool in document.tools}
    for turn in document.turns:
        for call in turn.calls:
            if _text(call.get("name")).lower() not in declared:
                yield f"{turn.where}: {document.tool(call.get('name'))} was called but is not declared"


def _order(document: _Document) -> Iterator[str]:
    if document.turns[0].kind == ASSISTANT:
        yield "the conversation begins with a reply"
    for turn, after in pairwise(document.turns):
        if turn.kind and turn.kind == after.kind:
            whose = "replies" if turn.kind == ASSISTANT else "turns of the user"
            yield f"{after.where}: two {whose} follow each other"


def _arguments(document: _Document) -> Iterator[str]:
    for turn in document.turns:
        for call in turn.calls:
            which = f"{turn.where}: the arguments of call {_shown(_text(call.get('toolUseId')))}"
            if not isinstance(call.get("input"), dict):
                yield f"{which} are no object"
            elif has_nulls(call["input"]):
                yield f"{which} hold an empty key or a null"


# -- tools --


def _specifications(document: _Document) -> Iterator[str]:
    count = Counter(_text(tool.get("name")).lower() for tool in document.tools)
    for tool in document.tools:
        name, description = _text(tool.get("name")), _text(tool.get("description"))
        wrong = [*_name(name), *_description(description), *_schema(_object(tool.get("inputSchema")).get("json"))]
        if count[name.lower()] > 1:
            wrong.append("another tool has the same name, ignoring case")
        yield from (f"{document.tool(name)}: {what}" for what in wrong)


def _name(name: str) -> Iterator[str]:
    if not name:
        yield "it has no name"
    if _FOREIGN.search(name):
        yield "its name has other characters than letters, digits, _ and -"
    if (size := len(name.encode("utf-8", "replace"))) > MAX_NAME_BYTES:
        yield f"its name has {size} bytes, more than {MAX_NAME_BYTES}"


def _description(description: str) -> Iterator[str]:
    if not description.strip():
        yield "it has no description"
    if (size := len(description.encode("utf-8", "replace"))) > MAX_DESCRIPTION_BYTES:
        yield f"its description has {size} bytes, more than {MAX_DESCRIPTION_BYTES}"


def _schema(schema: object) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield "its schema is no object"
        return
    if schema.get("type") != "object":
        yield 'its schema has another type than "object" at the top'
    yield from (f'its schema has "{union}" at the top' for union in _UNIONS if union in schema)
    for part in _subschemas(schema):
        if "properties" in part and not isinstance(part["properties"], dict):
            yield 'its schema has "properties" that are no object'
        required = part.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            yield 'its schema has a "required" that is no list of names'
        for keyword, value in part.items():
            inside = _object(value).values() if keyword in _NAMED_SCHEMAS else _list(value)
            if value is None or any(item is None for item in inside):
                yield f'its schema has a null in "{_shown(keyword)}"'


def _subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and those inside it; names of properties are no keywords."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            yield part
            for keyword, value in part.items():
                if keyword in _NAMED_SCHEMAS:
                    waiting += _object(value).values()
                elif keyword not in _NO_SCHEMAS:
                    waiting.append(value)


# -- values, attachments, the whole --


def _values(document: _Document) -> Iterator[str]:
    for turn in document.turns:
        if not turn.kind:
            yield f"{turn.where}: it is neither the user's nor a reply"
        elif not isinstance(turn.message.get("content"), str):
            yield f"{turn.where}: its text is no text"
        yield from (f"{turn.where}: {wrong}" for wrong in _wrong_values(turn.message))
    around = {name: value for name, value in document.state.items() if name not in ("history", "currentMessage")}
    yield from (f"the conversation: {wrong}" for wrong in _wrong_values([around, document.request.model_fields or {}]))
    for holder, names in ((around, ("conversationId", "chatTriggerType")), (document.current, ("modelId", "origin"))):
        yield from (f'the conversation: "{name}" is missing' for name in names if not holder.get(name, ""))


def _wrong_values(value: Any) -> Iterator[str]:
    """Nulls, unknown words and cache points at any depth, but for what is a tool's own."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        name, part = waiting.pop()
        if part is None:
            yield f'"{name}" is null'
        elif name in _ENUMERATIONS and not (isinstance(part, str) and part in _ENUMERATIONS[name]):
            yield f'"{name}" is {_shown(str(part))}'
        elif name == "cachePoint":
            yield "there is a cache point"
        if isinstance(part, dict):
            waiting += [(key, item) for key, item in part.items() if key not in _TOOLS_OWN]
        elif isinstance(part, list):
            waiting += [(name, item) for item in part]


def _attachments(document: _Document) -> Iterator[str]:
    images = [(turn.where, at, image) for turn in document.turns for at, image in enumerate(turn.images, 1)]
    documents = sum(len(_list(turn.message.get("documents"))) for turn in document.turns)
    if documents > MOST_DOCUMENTS:
        yield f"the conversation holds {documents} documents, more than {MOST_DOCUMENTS}"
    if len(images) + documents > MOST_ATTACHMENTS:
        yield f"the conversation holds {len(images) + documents} images and documents, more than {MOST_ATTACHMENTS}"
    side = MAX_SIDE_PIXELS_OF_MANY if len(images) > MANY_IMAGES else MAX_SIDE_PIXELS
    for where, at, image in images:
        if wrong := _image(_text(image.get("format")), _text(_object(image.get("source")).get("bytes")), side):
            yield f"{where}: image {at} {wrong}"


def _image(declared: str, data: str, most_pixels: int) -> str:
    if declared not in IMAGE_FORMATS:
        return f"is of no format that Kiro reads ({', '.join(IMAGE_FORMATS)})"
    if len(data) > MOST_IMAGE_CHARACTERS:
        return f"has {len(data)} bytes of base64, more than {MOST_IMAGE_CHARACTERS}"
    actual = sniff(data)
    if actual is not None and actual != declared:
        return f"is called {declared} but is {actual}"
    size = _size(data)
    if size is None:
        return "cannot be read"
    return f"is {size[0]} × {size[1]} pixels, more than {most_pixels} on a side" if max(size) > most_pixels else ""


def _size(data: str) -> tuple[int, int] | None:
    """Width and height. Only the header is read; Pillow is loaded already, as every image was looked at before it was sent."""
    from PIL import Image

    try:
        return Image.open(BytesIO(a2b_base64(data)), formats=[name.upper() for name in IMAGE_FORMATS]).size
    except Exception:  # noqa: BLE001 - a damaged file leads Pillow to errors of every kind
        return None


def _model(document: _Document) -> Iterator[str]:
    model = _text(document.current.get("modelId"))
    if _NOT_DOTTED.search(model):
        yield f"model {_shown(model)}: Kiro's runtime hosts only know ids with dots, such as claude-sonnet-4.5"


def _size_of_all(document: _Document) -> Iterator[str]:
    if len(document.tools) > MANY_TOOLS:
        yield f"{len(document.tools)} tools are declared; only hundreds are known to work"
    if (size := len(serialise(document.request, None))) > LARGE_BYTES:
        yield f"the conversation is very large ({size / 1e6:.1f} MB)"


_CHECKS: tuple[Callable[[_Document], Iterator[str]], ...] = (
    _pairing,  # 2
    _undeclared,  # 3
    _order,  # 4, 11
    _empty_turns,  # 1, 12
    _specifications,  # 5
    _arguments,  # 6
    _attachments,  # 9
    _model,  # 10
    _values,  # 7
    _size_of_all,  # 14
)
