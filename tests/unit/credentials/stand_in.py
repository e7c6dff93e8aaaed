"""The stand-in's services without a socket: a `Sender` whose time is the test's."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from app.kiro.endpoints import HttpCall
from app.upstream.http import HttpAnswer, TransportFailed
from simulator.connection import Request
from simulator.options import Options
from simulator.replies import Whole
from simulator.services import Services
from simulator.state import State


class StandIn:
    """before: called in the middle of each call. broken: raised instead of the next answers, in turn."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.state = State(Options(), Options(), clock=clock)
        self.calls: list[HttpCall] = []
        self.proxies: list[str | None] = []
        self.broken: list[TransportFailed] = []
        self.before: Callable[[], object] = lambda: None
        self._services = Services(self.state)

    def send(self, call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer:
        self.calls.append(call)
        self.proxies.append(proxy_url)
        self.before()
        if self.broken:
            raise self.broken.pop(0)
        return self._answer(call)

    def asked(self, path: str) -> int:
        """How often a path was called."""
        return sum(urlsplit(call.url).path == path for call in self.calls)

    def options(self, **values: object) -> None:
        self.state.options = self.state.options.changed(values)

    def decide(self, decision: str, account: str = "") -> None:
        """What the person with the newest device code does."""
        self.state.sign_ins.device(None).decide(decision, account)

    def browse(self, url: str) -> str:
        """Where a browser lands whose person signs in."""
        return self._answer(HttpCall("GET", url, {}, None)).headers["Location"]

    def _answer(self, call: HttpCall) -> HttpAnswer:
        url = urlsplit(call.url)
        headers = {"host": url.netloc, **{name.lower(): value for name, value in call.headers.items()}}
        request = Request(call.method, url.path, dict(parse_qsl(url.query)), headers, call.body or b"")
        record = self.state.recording.begin(
            at=self.state.clock(), method=call.method, path=url.path, query={}, host=url.netloc, headers=headers, body=None
        )
        answer = self._services.answer(request, record)
        assert isinstance(answer, Whole)
        return HttpAnswer(answer.status, answer.headers, answer.body)
