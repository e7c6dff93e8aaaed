"""The only place that speaks HTTP to Kiro: connections, proxies, the CA bundle, `KIRO_UPSTREAM_URL`, one error tree.

In: an `HttpCall` (method, url, headers, body) as `app.kiro.endpoints` makes it. Out: an `HttpAnswer`, or a `StreamingAnswer`
whose body is read as it arrives. Refuses to know what a call means, and never retries.
With `KIRO_UPSTREAM_URL` set every call goes to that base URL; path, query, headers and body stay, and the Host header
still names the real service.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from app.errors import UpstreamUnavailable
from app.runtime.clock import TimeLimit, limit
from app.upstream.body import Body, open_body

CONNECT_SECONDS = 5.0  # for each address of a host
REACH_SECONDS = 10.0  # from the look-up of the name to the first byte that is sent, with all addresses, proxy and TLS
MAX_ANSWER_BYTES = 32 * 1024 * 1024


class HttpCall(Protocol):
    """What is sent; `app.kiro.endpoints.HttpCall` is one."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes | None: ...


class TransportFailed(UpstreamUnavailable):
    """No HTTP answer came.

    sent: False when repeating the call is certainly safe: its body never left, or it has none.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class HostUnknown(TransportFailed):
    """The host's name does not resolve: the service does not exist there, or the network has no names."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StreamingAnswer:
    """An answer whose body is still to come. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Body


class _Outgoing:
    """The body of one request, which knows whether it has left, and how long reaching the other side may take.

    The HTTP library asks for the body only when connection, proxy and TLS are ready, so that is the moment; what it raises
    does not tell before from after (a TLS error may be either). Once sent, the body is forgotten: a stream lives long.
    """

    def __init__(self, body: bytes | None) -> None:
        self._body = body
        self._reaching = ExitStack()
        self.left = False

    def reach(self) -> ExitStack:
        """Hold this around the call: TimeLimit when the body has not left after REACH_SECONDS."""
        if self._body is not None:
            self._reaching.enter_context(limit(REACH_SECONDS))
        return self._reaching

    def __iter__(self) -> Iterator[bytes]:
        self._reaching.close()
        self.left = True
        body, self._body = self._body, None
        yield body or b""


class _Trust:
    """The certificate authorities, read once per process and only when something is sent over TLS.

    The library reads the whole bundle for each connection: 16 ms of CPU, and 650 KB for as long as a stream lasts (measured).
    """

    def __init__(self, ca_bundle: str | None) -> None:
        self._ca_bundle = ca_bundle

    @cached_property
    def context(self) -> ssl.SSLContext:
        """What every connection verifies with. Raises OSError when the bundle cannot be read."""
        context: ssl.SSLContext = create_urllib3_context()
        path = self._ca_bundle or certifi.where()
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
        return context


class _Adapter(HTTPAdapter):
    """The library's adapter, whose connections verify with one shared context instead of a bundle's file."""

    def __init__(self, trust: _Trust) -> None:
        self._trust = trust
        super().__init__(pool_connections=16, pool_maxsize=64, max_retries=0, pool_block=False)

    def build_connection_pool_key_attributes(self, request: requests.PreparedRequest, *_: Any) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, True)
        if host["scheme"] == "https":
            pool["ssl_context"] = self._trust.context
        return host, pool

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = self._trust.context
        return super().proxy_manager_for(proxy, **options)

    def cert_verify(self, *_: Any) -> None:
        """Nothing is left to tell a pool: its context knows whom to trust."""


class Http:
    """Sends calls; one object per process.

    upstream_url: `KIRO_UPSTREAM_URL`, None for the real services.
    ca_bundle: path of a CA bundle, None for the library's own.
    fast: FAST_PATH. default_proxy: the proxy for a host, used when a call names none; "direct" on a call goes around it.
    """

    def __init__(
        self,
        *,
        upstream_url: str | None = None,
        ca_bundle: str | None = None,
        default_proxy: Callable[[str], str | None] = lambda _host: None,
        fast: bool = True,
    ) -> None:
        self._fast = fast
        self._upstream_url = upstream_url.rstrip("/") if upstream_url else None
        self._trust = _Trust(ca_bundle)
        self._default_proxy = default_proxy
        # Straight to the adapter: a Session would read the environment and keep cookies. Streams take their connection over
        # (see Body), so that none comes back to be used again.
        self._adapter = _Adapter(self._trust)

    def send(self, call: HttpCall, *, proxy_url: str | None = None, timeout_seconds: float = 60.0) -> HttpAnswer:
        """Send and read the whole answer within `timeout_seconds`; raises TransportFailed."""
        outgoing = _Outgoing(call.body)
        try:
            # An adapter of its own: a connection that is kept, although we asked for its end, is half closed when the next call
            # meets it, and a refresh must not end unclear for that.
            with limit(timeout_seconds), closing(_Adapter(self._trust)) as adapter:
                response = self._post(call, outgoing, adapter, proxy_url)
                try:
                    body = response.raw.read(MAX_ANSWER_BYTES, decode_content=True)
                finally:
                    response.close()
        except TimeLimit as error:
            raise TransportFailed("Kiro did not answer in time", sent=outgoing.left) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _translate(error, sent=outgoing.left) from error
        return HttpAnswer(response.status_code, _lower(response.headers), body)

    def open(self, call: HttpCall, *, proxy_url: str | None = None) -> StreamingAnswer:
        """Send and return once the headers are there, however long that takes; raises TransportFailed.

        The caller ends a wait that is too long by a limit of its own, or by killing the task it runs in.
        """
        outgoing = _Outgoing(call.body)
        try:
            response = self._post(call, outgoing, self._adapter, proxy_url)
        except TimeLimit as error:
            if outgoing.left:
                raise  # the caller's own
            raise TransportFailed("Kiro cannot be reached", sent=False) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _translate(error, sent=outgoing.left) from error
        return StreamingAnswer(response.status_code, _lower(response.headers), open_body(response, fast=self._fast))

    def _post(self, call: HttpCall, outgoing: _Outgoing, adapter: HTTPAdapter, proxy_url: str | None) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.prepare_method(call.method)
        target = urlsplit(call.url)
        url = call.url
        if self._upstream_url is not None:
            url = f"{self._upstream_url}{target.path}" + (f"?{target.query}" if target.query else "")
        prepared.prepare_url(url, None)
        prepared.prepare_headers({"Host": target.netloc, **call.headers})
        if call.body is not None:
            prepared.headers["Content-Length"] = str(len(call.body))
            prepared.body = outgoing  # type: ignore[assignment]  # any iterable of bytes is sent as it is
        proxy = proxy_url or self._default_proxy(urlsplit(url).hostname or "")
        proxies = {} if proxy is None or proxy == "direct" else {"http": proxy, "https": proxy}
        with outgoing.reach():
            return adapter.send(prepared, stream=True, timeout=(CONNECT_SECONDS, None), proxies=proxies)


def goes_around(host: str, no_proxy: Iterable[str]) -> bool:
    """Whether the environment's proxy is not meant for a host: this machine's own names, and what `NO_PROXY` lists."""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return True
    names = [entry.lower().lstrip("*").lstrip(".") for entry in no_proxy]
    return any(not name or host == name or host.endswith(f".{name}") for name in names)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _translate(error: Exception, *, sent: bool) -> TransportFailed:
    """Our own error for whatever the library raised; the cause stays attached, its text (which may hold URLs) does not."""
    if isinstance(error, requests.exceptions.ProxyError):
        return TransportFailed("The proxy does not answer or refuses the connection", sent=sent)
    if isinstance(error, requests.exceptions.SSLError):
        return TransportFailed("The TLS connection to Kiro failed", sent=sent)
    if isinstance(_reason(error), urllib3.exceptions.NameResolutionError):
        return HostUnknown("The name of Kiro's host does not resolve", sent=False)
    if not sent:
        return TransportFailed("Kiro cannot be reached", sent=False)
    return TransportFailed("The connection to Kiro broke before an answer came", sent=True)


def _reason(error: Exception) -> object:
    """What the library says is behind it: a ConnectionError around a MaxRetryError around the fault itself."""
    return getattr(error.args[0] if error.args else None, "reason", None)
