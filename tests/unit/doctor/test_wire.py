"""What is told of a call and of the way to Kiro: enough to find the fault, and no password."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.doctor.step import FAILED, OK, Seen
from app.doctor.wire import PROBE, WANTS_USER, WatchedHttp, shown_proxy, trouble, try_way
from app.upstream.http import HttpAnswer, TransportFailed
from tests.unit.upstream.accounts import Account, Asked, answered

PROXY = "http://user:s3cret@proxy.example:3128"


def watched(play: Callable[[Asked], HttpAnswer]) -> WatchedHttp:
    return WatchedHttp(Account(play), lambda _url, own: own or PROXY)


def failing(cause: Exception) -> Callable[[Asked], HttpAnswer]:
    def play(_asked: Asked) -> HttpAnswer:
        raise TransportFailed("The proxy does not answer or refuses the connection", sent=False) from cause

    return play


class Silent(Account):
    """Answers to anything; the probe has no user agent."""

    def __init__(self, answer: HttpAnswer | Exception) -> None:
        super().__init__(lambda _: answered({}))
        self.answer = answer
        self.proxies: list[str | None] = []

    def send(self, _call: object, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer:
        assert timeout_seconds <= 20
        self.proxies.append(proxy_url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_any_answer_of_kiro_proves_the_way() -> None:
    kiro = Silent(answered({"message": "Missing Authentication Token"}, 403))
    step = try_way(WatchedHttp(kiro, lambda _url, own: own), PROXY)
    assert (step.outcome, step.hint) == (OK, None)
    assert "answers 403" in step.said
    assert kiro.proxies == [PROXY]
    assert step.calls == (Seen("q.us-east-1.amazonaws.com", "us-east-1", "http://proxy.example:3128", 403, step.calls[0].ms),)
    assert "authorization" not in {name.lower() for name in PROBE.headers}, "nothing secret is sent"


def test_a_proxy_that_wants_a_user_says_so() -> None:
    step = try_way(WatchedHttp(Silent(answered({}, 407)), lambda _url, own: own), None)
    assert (step.outcome, step.said) == (FAILED, WANTS_USER)
    assert step.hint


def test_a_way_that_is_closed_says_what_stands_in_it() -> None:
    closed = TransportFailed("Kiro cannot be reached", sent=False)
    closed.__cause__ = ConnectionRefusedError(111, f"Connection refused by {PROXY}")
    step = try_way(WatchedHttp(Silent(closed), lambda _url, own: own), PROXY)
    assert (step.outcome, step.said) == (FAILED, "Kiro cannot be reached: nobody listens at its address")
    assert step.calls[0].status is None
    assert "s3cret" not in repr(step)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("OSError('Tunnel connection failed: 407 Proxy Authentication Required')", WANTS_USER),
        ("SOCKS5 authentication failed", WANTS_USER),
        ("All offered SOCKS5 authentication methods were rejected", WANTS_USER),
        ("Tunnel connection failed: 403 Forbidden", "the proxy does not let Kiro's host through"),
        ("0x02: Connection not allowed by ruleset", "the proxy does not let Kiro's host through"),
        ("Failed to resolve 'proxy.example'", "a name does not resolve"),
        ("[Errno 111] Connection refused", "nobody listens at its address"),
        ("certificate verify failed", "the TLS connection failed: is its certificate in REQUESTS_CA_BUNDLE?"),
        ("timed out", "no answer came in time"),
        (f"something else about {PROXY}", "no more is known"),
    ],
)
def test_what_a_library_says_is_said_in_our_words(text: str, said: str) -> None:
    inner = OSError("outer")
    inner.__cause__ = OSError(text)
    error = TransportFailed("broken", sent=False)
    error.__cause__ = inner
    assert trouble(error) == said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, "none"),
        ("", "none"),
        ("direct", "none"),
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        (PROXY, "http://proxy.example:3128"),
        ("socks5h://us%40er:s3c%2Fret@[::1]:1080", "socks5h://[::1]:1080"),
    ],
)
def test_a_proxy_is_shown_without_its_password(url: str | None, shown: str) -> None:
    assert shown_proxy(url) == shown


def test_a_call_of_somebody_else_can_be_noted() -> None:
    wire = watched(failing(OSError()))
    wire.note("https://login.example.com/t/token", "direct", 200, 12)
    assert wire.seen == [Seen("login.example.com", "", "none", 200, 12)]
