"""The only place that speaks HTTP to the outside: sessions, proxies, the CA bundle, `KIRO_UPSTREAM_URL`, one error tree.

In: an `HttpCall` (method, url, headers, body) as `app.kiro.endpoints` makes it. Out: an `HttpAnswer`, or a `StreamingAnswer`
whose body is read as it arrives. Refuses to know what a call means, and never retries.
With `KIRO_UPSTREAM_URL` set every call goes to that base URL; path, query, headers and body stay, and the Host header
still names the real service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from app.errors import UpstreamUnavailable
from app.runtime.clock import TimeLimit, limit
from app.upstream.body import Body

CONNECT_SECONDS = 5.0
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

    sent: False when the request certainly never left (no connection), so that repeating it is safe.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamingAnswer:
    """An answer whose body is still to come. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Body


class Http:
    """Sends calls; one object per process.

    upstream_url: `KIRO_UPSTREAM_URL`, None for the real services.
    ca_bundle: path of a CA bundle, None for the library's own.
    default_proxy_url: used when a call names none; "direct" on a call goes around it.
    """

    def __init__(
        self, *, upstream_url: str | None = None, ca_bundle: str | None = None, default_proxy_url: str | None = None
    ) -> None:
        self._upstream_url = upstream_url.rstrip("/") if upstream_url else None
        self._ca_bundle = ca_bundle
        self._default_proxy_url = default_proxy_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=16, pool_maxsize=64, max_retries=0, pool_block=False)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def send(self, call: HttpCall, *, proxy_url: str | None = None, timeout_seconds: float = 60.0) -> HttpAnswer:
        """Send and read the whole answer within `timeout_seconds`; raises TransportFailed."""
        try:
            with limit(timeout_seconds):
                response = self._post(call, proxy_url)
                try:
                    body = response.raw.read(MAX_ANSWER_BYTES, decode_content=True)
                finally:
                    response.close()
        except TimeLimit as error:
            raise TransportFailed("Kiro did not answer in time", sent=True) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _translate(error) from error
        return HttpAnswer(response.status_code, _lower(response.headers), body)

    def open(self, call: HttpCall, *, proxy_url: str | None = None) -> StreamingAnswer:
        """Send and return once the headers are there, however long that takes; raises TransportFailed.

        The caller ends a wait that is too long by killing the task it runs in.
        """
        try:
            response = self._post(call, proxy_url)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _translate(error) from error
        return StreamingAnswer(response.status_code, _lower(response.headers), Body(response))

    def _post(self, call: HttpCall, proxy_url: str | None) -> requests.Response:
        prepared = requests.PreparedRequest()
        prepared.prepare_method(call.method)
        target = urlsplit(call.url)
        url = call.url
        if self._upstream_url is not None:
            url = f"{self._upstream_url}{target.path}" + (f"?{target.query}" if target.query else "")
        prepared.prepare_url(url, None)
        prepared.prepare_headers({"Host": target.netloc, **call.headers})
        prepared.prepare_body(call.body, None)
        proxy = proxy_url or self._default_proxy_url
        proxies = {} if proxy is None or proxy == "direct" else {"http": proxy, "https": proxy}
        return self._session.get_adapter(url).send(
            prepared, stream=True, timeout=(CONNECT_SECONDS, None), verify=self._ca_bundle or True, proxies=proxies
        )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _translate(error: Exception) -> TransportFailed:
    """Our own error for whatever the library raised; the cause stays attached, its text (which may hold URLs) does not."""
    if isinstance(error, requests.exceptions.ProxyError):
        return TransportFailed("The proxy does not answer or refuses the connection", sent=False)
    if isinstance(error, requests.exceptions.SSLError):
        return TransportFailed("The TLS connection to Kiro failed", sent=False)
    if isinstance(error, requests.exceptions.ConnectTimeout) or _never_connected(error):
        return TransportFailed("Kiro cannot be reached", sent=False)
    return TransportFailed("The connection to Kiro broke before an answer came", sent=True)


def _never_connected(error: BaseException | None) -> bool:
    """Whether a refused or unresolved connection is at the root of `error`."""
    seen = 0
    while error is not None and seen < 8:
        if isinstance(error, urllib3.exceptions.NewConnectionError):
            return True
        reason = getattr(error, "reason", None)
        inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
        error = reason if isinstance(reason, BaseException) else inner or error.__cause__
        seen += 1
    return False
