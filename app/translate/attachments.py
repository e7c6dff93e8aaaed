"""What a conversation's images and PDFs need before it is translated.

In: a parsed request, what is already known of its attachments, and a clock. Out: the request with every image as Kiro takes it,
every PDF as text, and notes in place of what cannot be sent; RequestRejected with the path of an attachment of the current turn
that nobody can read. In the history it becomes a note: it would refuse each further turn of its conversation.
What fits stays as it is, byte for byte, and the same attachment always becomes the same bytes, so that upstream's prompt cache
can hit. Decodes pixels and PDFs, so it is not for an event loop; `has_attachments` says when it is not needed at all.
Attachments named by URL are fetched elsewhere: `remote_places` finds them, `with_fetched` puts what came in their place.
Source: protocol 3.3, cause 9 of 4.4; failure corpus 52 to 62.
"""

from __future__ import annotations

import hashlib
from binascii import Error as InvalidBase64
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from app.anthropic import blocks as b
from app.anthropic.image_size import image_size
from app.anthropic.request import Message, MessageRequest
from app.errors import RequestRejected
from app.translate import pdf
from app.translate.images import sniff
from app.translate.pdf import PdfUnusable, pdf_text
from app.translate.shrink import MANY_IMAGES, MAX_SIDE_PIXELS, MAX_SIDE_PIXELS_OF_MANY, ImageUnusable, shrink
from app.translate.turns import ASSISTANT

MAX_IMAGES = 100
# Kiro takes requests of 10 MiB; text and tools need their part of it.
MAX_IMAGE_CHARACTERS = 7 * 1024 * 1024
# Old images go in such groups, so that a long conversation does not begin differently with every new image.
GROUP = 10
MAX_SECONDS = 30.0

UNREADABLE_NOTE = "(an image was left out: it could not be processed)"
OLD_NOTE = "(an older image was left out: the conversation holds too many)"
REPEATED_NOTE = "(the same image as in message {number})"
PDF_NOTE = "(a PDF was left out: {problem})"

CHANGES: dict[str, str] = {
    "url_fetched": "an image or document named by URL is fetched, once",
    "image_rewritten": "an image too large for Kiro is sent smaller; base64 with line breaks is sent without",
    "image_left_out": "an image that is broken, or one too many, becomes a note",
    "image_repeated": "an image that stands earlier in the conversation becomes a note",
    "pdf_text": "a PDF becomes its text",
    "pdf_left_out": "a PDF of the history that cannot be read becomes a note",
}
"""What may be done to a request here, for its record."""

_HEAD_CHARACTERS = 4 * 96 * 1024  # characters; a JPEG may carry a thumbnail and a profile before its size


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one attachment.

    text: base64 of another image, or the text of a PDF; None for an image that is sent as it is. Of a URL: what came from it.
    format: of the other image, or the media type of what came. problem: why the attachment cannot be used, "" for none.
    """

    text: str | None = None
    format: str = ""
    problem: str = ""


Key = tuple[bytes, int]
"""Hash of the base64 text and the longest side an image may have (0 for a PDF). Of a URL: its hash and REMOTE of the block."""


@dataclass(slots=True)
class Prepared:
    """request: to be translated. changes: names out of CHANGES. readings: of all attachments, to be known next time."""

    request: MessageRequest
    changes: list[str]
    readings: dict[Key, Reading]


BlockT = TypeVar("BlockT", b.ImageBlock, b.DocumentBlock)


@dataclass(slots=True)
class Place(Generic[BlockT]):
    """Where an attachment stands. index: of its message; current: in the turn to be answered; instead: what takes its place."""

    block: BlockT
    path: str
    index: int
    current: bool
    instead: Any = None


@dataclass(slots=True)
class _Found:
    images: list[Place[b.ImageBlock]] = field(default_factory=list)
    pdfs: list[Place[b.DocumentBlock]] = field(default_factory=list)


REMOTE = {"image": -1, "document": -2}
"""The same URL may be good for one kind of block and not for the other."""
MAX_REMOTE_BYTES = {"image": 5 * 1024 * 1024, "document": pdf.MAX_BYTES}
TEXT_ENCODINGS = {"": "utf-8-sig", "utf-8": "utf-8-sig", "us-ascii": "ascii", "iso-8859-1": "latin-1", "windows-1252": "cp1252"}


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """Where an attachment stands that is named by URL."""

    block: b.ImageBlock | b.DocumentBlock
    url: str
    path: str

    @property
    def key(self) -> Key:
        return _hash(self.url), REMOTE[self.block.type]

    @property
    def max_bytes(self) -> int:
        return MAX_REMOTE_BYTES[self.block.type]

    def refusal(self, problem: str) -> RequestRejected:
        return RequestRejected(f"{self.path}.{self.block.type}.source.url: {problem}")


def remote_places(request: MessageRequest, *, images: bool) -> list[RemotePlace]:
    """All that is named by URL. images: whether the model reads images; if not, they need not be fetched."""
    places = []
    for index, message in enumerate(request.messages):
        for block, path in _blocks(message.content, f"messages.{index}.content"):
            if isinstance(block.source, b.UrlSource) and (images or isinstance(block, b.DocumentBlock)):
                places.append(RemotePlace(block, block.source.url, path))
    return places


def read_fetched(place: RemotePlace, body: bytes, content_type: str) -> Reading:
    """What came from a URL, as a source of the block can hold it. content_type: as sent; it only tells text from the rest."""
    if not body:
        return Reading(problem="it is empty")
    if isinstance(place.block, b.ImageBlock):
        encoded = b2a_base64(body, newline=False).decode()
        format_ = sniff(encoded)
        return Reading(encoded, f"image/{format_}") if format_ else Reading(problem="it is not a PNG, JPEG, GIF or WebP image")
    if body.startswith(b"%PDF-"):
        return Reading(b2a_base64(body, newline=False).decode(), "application/pdf")
    return _read_fetched_text(body, content_type)


def _read_fetched_text(body: bytes, content_type: str) -> Reading:
    media_type, *parameters = (part.strip() for part in content_type.lower().split(";"))
    charset = "".join(part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset="))
    if not media_type.startswith("text/") or charset not in TEXT_ENCODINGS:
        return Reading(problem="it is neither a PDF nor text in a known encoding")
    try:
        return Reading(body.decode(TEXT_ENCODINGS[charset]), "text/plain")
    except UnicodeDecodeError:
        return Reading(problem="its text is not in the encoding it claims")


def with_fetched(request: MessageRequest, places: Iterable[RemotePlace], readings: Mapping[Key, Reading]) -> MessageRequest:
    """The request as if its client had sent the content itself."""
    return _with(request, {id(place.block): _with_content(place.block, readings[place.key]) for place in places})


def _with_content(block: b.ImageBlock | b.DocumentBlock, reading: Reading) -> b.ImageBlock | b.DocumentBlock:
    media_type: Any = reading.format
    data = reading.text or ""
    source: b.Base64ImageSource | b.Base64PdfSource | b.PlainTextSource
    if isinstance(block, b.ImageBlock):
        source = b.Base64ImageSource(type="base64", media_type=media_type, data=data)
    elif media_type == "application/pdf":
        source = b.Base64PdfSource(type="base64", media_type=media_type, data=data)
    else:
        source = b.PlainTextSource(type="text", media_type=media_type, data=data)
    return block.model_copy(update={"source": source})


def has_attachments(request: MessageRequest) -> bool:
    """Whether there is anything to prepare."""
    return any(True for message in request.messages for _ in _attachments(message.content, ""))


def prepare(
    request: MessageRequest, known: Mapping[Key, Reading], clock: Callable[[], float], *, images: bool = True
) -> Prepared:
    """images: whether the model reads images; if not, they stay as they are, for the translation to leave out."""
    return _Preparation(request, known, clock).run(images=images)


class _Preparation:
    """One request on its way through."""

    def __init__(self, request: MessageRequest, known: Mapping[Key, Reading], clock: Callable[[], float]) -> None:
        self._request = request
        self._known = known
        self._clock = clock
        self._ends_at = clock() + MAX_SECONDS
        self._changes: dict[str, None] = {}
        self._readings: dict[Key, Reading] = {}

    def run(self, *, images: bool) -> Prepared:
        found = _find(self._request)
        if images:
            self._images(found.images)
        for place in found.pdfs:
            self._pdf(place)
        places: list[Place[Any]] = [*found.images, *found.pdfs]
        replaced = {id(place.block): place.instead for place in places if place.instead is not None}
        return Prepared(_with(self._request, replaced), list(self._changes), self._readings)

    # -- images --

    def _images(self, places: list[Place[b.ImageBlock]]) -> None:
        places = self._without_oldest(places, _too_many)
        side = MAX_SIDE_PIXELS_OF_MANY if len(_by_data(places)) > MANY_IMAGES else MAX_SIDE_PIXELS
        readable = [place for place in places if self._image(place, side)]
        self._note_repeated(self._without_oldest(readable, _too_heavy))

    def _image(self, place: Place[b.ImageBlock], side: int) -> bool:
        """Whether there is an image to send; raises RequestRejected when one of the current turn cannot be."""
        _refuse_oversized(place, side)
        data = _data(place.block)
        reading = self._read(data, side, lambda: _read_image(data, side))
        if reading.problem:
            if place.current:
                raise RequestRejected(f"{place.path}.image.source.base64: {reading.problem}")
            self._note(place, "image_left_out", UNREADABLE_NOTE)
            return False
        if reading.text is not None:
            media_type: Any = f"image/{reading.format}"
            source = b.Base64ImageSource(type="base64", media_type=media_type, data=reading.text)
            place.instead = place.block.model_copy(update={"source": source})
            self._changes["image_rewritten"] = None
        return True

    def _without_oldest(
        self, places: list[Place[b.ImageBlock]], too_much: Callable[[list[Place[b.ImageBlock]]], bool]
    ) -> list[Place[b.ImageBlock]]:
        """The newest images that are not too much; those of the current turn go last, and one by one."""
        left = 0
        while too_much(places[left:]):
            history = sum(not place.current for place in places[left:])
            left += min(GROUP, history) or 1
        for place in places[:left]:
            self._note(place, "image_left_out", OLD_NOTE)
        return places[left:]

    def _note_repeated(self, places: list[Place[b.ImageBlock]]) -> None:
        """Each image is sent where it stands first."""
        first: dict[str, Place[b.ImageBlock]] = {}
        for place in places:
            original = first.setdefault(_data(place.block), place)
            if original is not place:
                self._note(place, "image_repeated", REPEATED_NOTE.format(number=original.index + 1))

    def _note(self, place: Place[Any], change: str, text: str) -> None:
        place.instead = b.TextBlock(type="text", text=text, cache_control=place.block.cache_control)
        self._changes[change] = None

    # -- documents --

    def _pdf(self, place: Place[b.DocumentBlock]) -> None:
        source = place.block.source
        assert isinstance(source, b.Base64PdfSource)
        reading = self._read(source.data, 0, lambda: _read_pdf(source.data, self._clock))
        if reading.problem and place.current:
            raise RequestRejected(f"{place.path}.document.source.base64: {reading.problem}")
        self._changes["pdf_left_out" if reading.problem else "pdf_text"] = None
        text = PDF_NOTE.format(problem=reading.problem) if reading.problem else reading.text
        plain = b.PlainTextSource(type="text", media_type="text/plain", data=text or "")
        place.instead = place.block.model_copy(update={"source": plain})

    def _read(self, data: str, side: int, read: Callable[[], Reading]) -> Reading:
        """What is known of an attachment, or what a look at it says."""
        key = (_hash(data), side)
        reading = self._known.get(key) or self._readings.get(key)
        if reading is None:
            if self._clock() > self._ends_at:
                raise RequestRejected(f"The attachments take longer than {MAX_SECONDS:g} seconds to read; send fewer of them")
            reading = read()
        self._readings[key] = reading
        return reading


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


# --- one attachment -------------------------------------------------------------------------------------------------------


def _read_image(data: str, side: int) -> Reading:
    raw, format_ = _decoded(data), sniff(data)
    if raw is None or format_ is None:
        return Reading(problem="Could not process image")
    try:
        smaller = shrink(raw, side)
    except ImageUnusable as error:
        return Reading(problem=str(error))
    format_, raw = smaller or (format_, raw)
    text = b2a_base64(raw, newline=False).decode()
    return Reading() if text == data else Reading(text, format_)


def _read_pdf(data: str, clock: Callable[[], float]) -> Reading:
    if len(data) // 4 * 3 > pdf.MAX_BYTES + 2:
        return Reading(problem=f"a PDF may have {pdf.MAX_BYTES // 1024**2} MB at most; send it in parts")
    raw = _decoded(data)
    try:
        return Reading(pdf_text(raw or b"", clock))
    except PdfUnusable as error:
        return Reading(problem=str(error))


def _refuse_oversized(place: Place[b.ImageBlock], side: int) -> None:
    """The client may ask for an error instead of a smaller image; in the history it could do nothing about it."""
    wishes = place.block.transformations
    if not place.current or wishes is None or wishes.oversized_image != "error":
        return
    size = image_size(_decoded(_data(place.block)[:_HEAD_CHARACTERS]) or b"")
    if size is not None and max(size) > side:
        many = " for many-image requests" if side < MAX_SIDE_PIXELS else ""
        raise RequestRejected(
            f"{place.path}.image.source.base64: image dimensions exceed max allowed size{many}: {side} pixels",
            details={"error_code": "image_dimensions_too_large"},
        )


def _decoded(data: str) -> bytes | None:
    try:
        return a2b_base64(data)
    except (InvalidBase64, ValueError):
        return None


def _too_many(places: list[Place[b.ImageBlock]]) -> bool:
    return len(_by_data(places)) > MAX_IMAGES


def _too_heavy(places: list[Place[b.ImageBlock]]) -> bool:
    sent: list[b.ImageBlock] = [place.instead or place.block for place in _by_data(places).values()]
    return sum(len(_data(image)) for image in sent) > MAX_IMAGE_CHARACTERS


def _by_data(places: list[Place[b.ImageBlock]]) -> dict[str, Place[b.ImageBlock]]:
    """Each image once, however often it is sent."""
    return {_data(place.block): place for place in places}


def _data(block: b.ImageBlock) -> str:
    assert isinstance(block.source, b.Base64ImageSource)
    return block.source.data


# --- finding and replacing ------------------------------------------------------------------------------------------------


def _find(request: MessageRequest) -> _Found:
    found = _Found()
    current_from = _current_turn(request.messages)
    for index, message in enumerate(request.messages):
        for block, path in _attachments(message.content, f"messages.{index}.content"):
            if isinstance(block, b.ImageBlock):
                found.images.append(Place(block, path, index, index >= current_from))
            else:
                found.pdfs.append(Place(block, path, index, index >= current_from))
    return found


def _current_turn(messages: list[Message]) -> int:
    """Index of the first message after the assistant's last one; a prefill belongs to the turn it follows."""
    end = len(messages)
    while end and messages[end - 1].role == ASSISTANT:
        end -= 1
    while end and messages[end - 1].role != ASSISTANT:
        end -= 1
    return end


def _attachments(content: Iterable[Any], path: str) -> Iterator[tuple[b.ImageBlock | b.DocumentBlock, str]]:
    """Images and PDFs that came as base64."""
    for block, at in _blocks(content, path):
        if isinstance(block.source, b.Base64ImageSource | b.Base64PdfSource):
            yield block, at


def _blocks(content: Iterable[Any], path: str) -> Iterator[tuple[b.ImageBlock | b.DocumentBlock, str]]:
    """Images and documents at every depth, each with its path; of a document that holds blocks, these."""
    for at, block in enumerate(content):
        match block:
            case b.DocumentBlock(source=b.ContentSource() as source):
                yield from _blocks(source.content, f"{path}.{at}.document.source.content.content")
            case b.ImageBlock() | b.DocumentBlock():
                yield block, f"{path}.{at}"
            case b.ToolResultBlock():
                yield from _blocks(block.content, f"{path}.{at}.tool_result.content")


def _with(request: MessageRequest, replaced: Mapping[int, Any]) -> MessageRequest:
    """A copy in which other blocks stand for some; untouched messages are shared. replaced: by the identity of the block."""
    if not replaced:
        return request
    messages = []
    for message in request.messages:
        content = _content_with(message.content, replaced)
        messages.append(message if content is None else message.model_copy(update={"content": content}))
    return request.model_copy(update={"messages": messages})


def _content_with(content: Iterable[Any], replaced: Mapping[int, Any]) -> list[Any] | None:
    """None when nothing in it is replaced."""
    old = list(content)
    new = [_block_with(block, replaced) for block in old]
    return new if any(a is not b_ for a, b_ in zip(old, new, strict=True)) else None


def _block_with(block: Any, replaced: Mapping[int, Any]) -> Any:
    if (instead := replaced.get(id(block))) is not None:
        return instead
    if isinstance(block, b.ToolResultBlock) and (content := _content_with(block.content, replaced)) is not None:
        return block.model_copy(update={"content": content})
    if isinstance(block, b.DocumentBlock) and isinstance(block.source, b.ContentSource):
        content = _content_with(block.source.content, replaced)
        if content is not None:
            return block.model_copy(update={"source": block.source.model_copy(update={"content": content})})
    return block
