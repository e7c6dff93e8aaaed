"""Fetches what a request names by URL, without becoming a way into the network the gateway stands in.

In: a URL of a client, and how much may come. Out: the bytes and the content type they were sent with, or NotFetched with a
sentence for the client. Refuses to know what the bytes are.

A client chooses the URL, so everything else is ours:
- https on port 443 only, no user info, and never a second address: a redirect is refused.
- The name is looked up once; every address it has must be public, and the connection goes to one of exactly these. A second
  look-up (a proxy's, the HTTP library's) could give another answer, so there is no proxy either. Numbers that are addresses in
  disguise (2852039166, 127.1) are read by the same look-up and checked the same way.
- A name that does not exist and one that leads inside are told alike, or the answers would map the private network.
Source: OWASP, Server-Side Request Forgery Prevention; RFC 6890 and its registries as `ipaddress` knows them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from app.runtime.clock import TimeLimit, limit

PORT = 443
CONNECT_SECONDS = 5.0  # for each address of a host
MAX_URL_CHARACTERS = 8192
PIECE_BYTES = 64 * 1024

NOT_PUBLIC = "the host has no address on the public Internet"
NO_ANSWER = "the host cannot be reached, or its certificate is not valid"
HEADERS = {"User-Agent": "kiro-py", "Accept": "*/*", "Accept-Encoding": "identity"}

Address = tuple[str, int]
LookUp = Callable[[str], list[Address]]

_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")
_UNICAST = IPv6Network("2000::/3")  # all that is given out; the rest is local, reserved or multicast
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: how networks without IPv4 reach it


class NotFetched(Exception):
    """Nothing usable came; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came. content_type: the HTTP header's value, "" for none."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    path: str

    @property
    def host_header(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def look_up(host: str) -> list[Address]:
    """Every address of a host; raises OSError when there is none."""
    found = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    return [(str(address[0]), int(address[1])) for *_, address in found]


def is_public(address: str) -> bool:
    """Whether an address, and the one an IPv6 address may carry inside, belongs to the public Internet."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    carried = _carried(ip)
    if not all(inner.is_global and not inner.is_multicast for inner in carried):
        return False
    if ip.ipv4_mapped is not None or ip in _NAT64:
        return True
    return ip in _UNICAST and ip.is_global


def _carried(ip: IPv6Address) -> list[IPv4Address]:
    """IPv4 addresses that packets to an IPv6 address may end at."""
    nat64 = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    return [inner for inner in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ()), nat64) if inner is not None]


def fetch(
    url: str,
    *,
    max_bytes: int,
    seconds: float,
    ca_bundle: str | None = None,
    look_up: LookUp = look_up,
    is_allowed: Callable[[str], bool] = is_public,
) -> Fetched:
    """Get a URL within `seconds`, from the look-up of its name to its last byte; raises NotFetched.

    ca_bundle: path of a CA bundle, None for the library's own.
    """
    target = _target(url)
    try:
        with limit(seconds):
            addresses = _checked(target.host, look_up, is_allowed)
            return _get(target, addresses, max_bytes, ca_bundle or DEFAULT_CA_BUNDLE_PATH)
    except TimeLimit as error:
        raise NotFetched("it did not come in time") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NotFetched(NO_ANSWER) from error


def _target(url: str) -> _Target:
    if len(url) > MAX_URL_CHARACTERS:
        raise NotFetched(f"a URL may have {MAX_URL_CHARACTERS} characters at most")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if ":" in host else host.encode("idna").decode().lower()
    except ValueError as error:  # UnicodeError is one
        raise NotFetched("it is not a URL") from error
    if parts.scheme != "https":
        raise NotFetched("only https URLs are fetched")
    if port not in (None, PORT) or "@" in parts.netloc:
        raise NotFetched(f"only URLs without user and password, on port {PORT}, are fetched")
    if not url.isprintable() or " " in url or _HOST.fullmatch(host) is None:
        raise NotFetched("it is not a URL")
    return _Target(host, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def _checked(host: str, look_up: LookUp, is_allowed: Callable[[str], bool]) -> list[Address]:
    """The addresses of a host, all of them allowed: one that is not tells of a name that plays tricks."""
    try:
        addresses = look_up(host)
    except (OSError, UnicodeError) as error:
        raise NotFetched(NOT_PUBLIC) from error
    if not addresses or not all(is_allowed(ip) for ip, _ in addresses):
        raise NotFetched(NOT_PUBLIC)
    return addresses


def _get(target: _Target, addresses: list[Address], max_bytes: int, ca_bundle: str) -> Fetched:
    """From the first address that takes the connection."""
    *others, last = addresses
    for address in others:
        try:
            return _get_from(address, target, max_bytes, ca_bundle)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
            continue
    return _get_from(last, target, max_bytes, ca_bundle)


def _get_from(address: Address, target: _Target, max_bytes: int, ca_bundle: str) -> Fetched:
    """The pool knows the address only; the name is what SNI says and what the certificate has to prove."""
    ip, port = address
    pool = urllib3.HTTPSConnectionPool(
        ip, port, server_hostname=target.host, cert_reqs="CERT_REQUIRED", ca_certs=ca_bundle, retries=False
    )
    headers = {"Host": target.host_header, **HEADERS}
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=None)
    with closing(pool):
        response = pool.urlopen("GET", target.path, headers=headers, timeout=timeout, redirect=False, preload_content=False)
        with closing(response):
            _refuse_status(response.status)
            return Fetched(_body(response, max_bytes), response.headers.get("Content-Type", ""))


def _refuse_status(status: int) -> None:
    if 300 <= status < 400:
        raise NotFetched("it redirects; name the final address instead")
    if status != 200:
        raise NotFetched(f"the host answers with HTTP status {status}")


def _body(response: urllib3.BaseHTTPResponse, max_bytes: int) -> bytes:
    """In pieces, counted after unpacking: neither a length header nor a small archive says how much there is."""
    body = bytearray()
    for piece in response.stream(PIECE_BYTES, decode_content=True):
        body += piece
        if len(body) > max_bytes:
            raise NotFetched(f"it is larger than the {max_bytes} bytes that may come here")
    return bytes(body)
