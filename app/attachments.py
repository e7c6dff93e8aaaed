"""Images and PDFs of requests, prepared beside the event loop and remembered.

In: a request and whether its model reads images. Out: the request as `app.translate.attachments` prepares it. A request without
attachments passes at once. What was made of an attachment is kept, up to CACHE_CHARACTERS, as a conversation carries it in each
of its turns. Knows nothing of formats.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict

from app.anthropic.request import MessageRequest
from app.errors import RequestRejected
from app.runtime.clock import TimeLimit
from app.runtime.offload import offload
from app.translate.attachments import MAX_SECONDS, Key, Prepared, Reading, has_attachments, prepare

CACHE_CHARACTERS = 16 * 1024 * 1024
ENTRY_CHARACTERS = 200  # what an entry without text takes, roughly
WAIT_SECONDS = 2 * MAX_SECONDS  # for a free thread, and for the work

# It says what it finds in documents, and nobody here can mend them.
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)


class Attachments:
    """Prepares requests; one object per process."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, Reading] = OrderedDict()
        self._characters = 0

    def prepare(self, request: MessageRequest, *, images: bool) -> tuple[MessageRequest, list[str]]:
        """The request to translate and the names of what was changed; raises RequestRejected naming what cannot be sent."""
        if not has_attachments(request):
            return request, []
        prepared = self._prepare_in_thread(request, images)
        self._remember(prepared.readings)
        return prepared.request, prepared.changes

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
            self._known[key] = reading
            self._characters += _size(reading)
        while self._characters > CACHE_CHARACTERS:
            _, oldest = self._known.popitem(last=False)
            self._characters -= _size(oldest)


def _size(reading: Reading) -> int:
    return ENTRY_CHARACTERS + len(reading.text or "")
