"""Images and PDFs of requests, prepared beside the event loop and remembered.

In: a request and whether its model reads images. Out: the request as `app.translate.attachments` prepares it. A request without
attachments passes at once. What was made of an attachment is kept, up to CACHE_CHARACTERS, as a conversation carries it in each
of its turns; so is what came from a URL, which also keeps the turns alike when the page behind it changes. Knows nothing of
formats.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import Protocol

from app.anthropic.request import MessageRequest
from app.errors import RequestRejected
from app.runtime.clock import TimeLimit
from app.runtime.offload import offload
from app.translate.attachments import (
    MAX_SECONDS,
    Key,
    Prepared,
    Reading,
    RemotePlace,
    has_attachments,
    prepare,
    read_fetched,
    remote_places,
    with_fetched,
)
from app.upstream.fetch import Fetched, NotFetched, fetch

CACHE_CHARACTERS = 16 * 1024 * 1024
ENTRY_CHARACTERS = 200  # what an entry without text takes, roughly
WAIT_SECONDS = 2 * MAX_SECONDS  # for a free thread, and for the work

MAX_URLS = 20
# For all URLs of a request: the time its client waits, and the size its body might have had.
FETCH_SECONDS = 10.0
FETCH_BYTES = 32 * 1024 * 1024

# It says what it finds in documents, and nobody here can mend them.
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)


class Fetch(Protocol):
    """`app.upstream.fetch.fetch` is one."""

    def __call__(self, url: str, *, max_bytes: int, seconds: float) -> Fetched: ...


class Attachments:
    """Prepares requests; one object per process."""

    def __init__(self, fetch: Fetch = fetch) -> None:
        self._fetch = fetch
        self._known: OrderedDict[Key, Reading] = OrderedDict()
        self._characters = 0

    def prepare(self, request: MessageRequest, *, images: bool, fetch_urls: bool = False) -> tuple[MessageRequest, list[str]]:
        """The request to translate and the names of what was changed; raises RequestRejected naming what cannot be sent.

        fetch_urls: whether to fetch what is named by URL; if not, the translation refuses it.
        """
        places = remote_places(request, images=images) if fetch_urls else []
        changes = ["url_fetched"] if places else []
        if places:
            request = with_fetched(request, places, self._fetched(places))
        if not has_attachments(request):
            return request, changes
        prepared = self._prepare_in_thread(request, images)
        self._remember(prepared.readings)
        return prepared.request, [*changes, *prepared.changes]

    def _fetched(self, places: list[RemotePlace]) -> dict[Key, Reading]:
        """What each URL holds; one after the other, and what came before a failure need not come again."""
        if len({place.url for place in places}) > MAX_URLS:
            raise RequestRejected(f"A request may name {MAX_URLS} URLs at most; send the content of some of them instead")
        ends_at, left = time.monotonic() + FETCH_SECONDS, FETCH_BYTES
        readings: dict[Key, Reading] = {}
        for place in places:
            reading = readings.get(place.key) or self._known.get(place.key)
            if reading is None:
                reading, size = self._fetched_one(place, min(place.max_bytes, left), ends_at - time.monotonic())
                left -= size
            readings[place.key] = reading
            self._remember({place.key: reading})
        return readings

    def _fetched_one(self, place: RemotePlace, max_bytes: int, seconds: float) -> tuple[Reading, int]:
        if seconds <= 0:
            raise place.refusal(f"the URLs of the request took more than {FETCH_SECONDS:g} seconds")
        try:
            fetched = self._fetch(place.url, max_bytes=max_bytes, seconds=seconds)
        except NotFetched as error:
            raise place.refusal(str(error)) from error
        reading = read_fetched(place, fetched.body, fetched.content_type)
        if reading.problem:
            raise place.refusal(reading.problem)
        return reading, len(fetched.body)

    def _prepare_in_thread(self, request: MessageRequest, images: bool) -> Prepared:
        try:
            return offload(lambda: prepare(request, self._known, time.monotonic, images=images), seconds=WAIT_SECONDS)
        except TimeLimit as error:
            raise RequestRejected("The attachments could not be read in time; send fewer of them") from error

    def _remember(self, readings: dict[Key, Reading]) -> None:
        """Only greenlets write, between two waits; threads only look up single entries."""
        for key, reading in readings.items():
            if key in self._known:
                self._known.move_to_end(key)
                continue
            if _size(reading) > CACHE_CHARACTERS:
                continue  # it would only drive out the others
            self._known[key] = reading
            self._characters += _size(reading)
        while self._characters > CACHE_CHARACTERS:
            _, oldest = self._known.popitem(last=False)
            self._characters -= _size(oldest)


def _size(reading: Reading) -> int:
    return ENTRY_CHARACTERS + len(reading.text or "")
