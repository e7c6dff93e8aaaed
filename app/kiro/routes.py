"""Where a chat goes and which profile ARN it carries, and the other way when that one is refused.

The references contradict each other about both, by account, host and month, so each way is tried once and what worked is
remembered with the credential. Pure: in the facts of a login, out a `Route`.
Source: protocol 1.1 (hosts), 1.2 (region follows the ARN), 1.8 (ARN: real, social, placeholder, or none).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN, RUNTIME, Q, sent_profile_arn

AUTO = "auto"
LEFT_OUT, SENT = "left_out", "sent"
HOST_GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class Route:
    """One way to send a chat. host: q or runtime; profile_arn: what the body carries, None for nothing."""

    host: str
    profile_arn: str | None

    def learned(self) -> dict[str, str]:
        """What is remembered when this way worked and the first one did not."""
        return {"chat_host": self.host, "chat_arn": SENT if self.profile_arn else LEFT_OUT}

    def __str__(self) -> str:
        return f"{self.host} host, {'with' if self.profile_arn else 'without'} profile ARN"


def first_route(kind: str, provider: str | None, profile_arn: str | None, learned: Mapping[str, str], hosts: str) -> Route:
    """The way to begin with. hosts: the setting `upstream_hosts`; learned: of this credential."""
    host = (learned.get("chat_host") or Q) if hosts == AUTO else hosts
    arn = sent_profile_arn(kind, provider, profile_arn)
    if learned.get("chat_arn") == LEFT_OUT and host != RUNTIME:
        arn = None
    return Route(host if host in (Q, RUNTIME) else Q, arn)


def other_arn(route: Route, kind: str, provider: str | None, profile_arn: str | None) -> Route | None:
    """The same way with the ARN where there was none, or without; None when there is no such way.

    The runtime host insists on an ARN, an API key never has one, and a company's login is refused with anybody else's.
    """
    if route.profile_arn is not None:
        return None if route.host == RUNTIME else Route(route.host, None)
    arn = sent_profile_arn(kind, provider, profile_arn)
    return None if arn is None else Route(route.host, arn)


def other_host(route: Route, kind: str, provider: str | None, profile_arn: str | None, hosts: str) -> Route | None:
    """The other host, where the setting leaves it open; it gets the ARN it insists on."""
    if hosts != AUTO:
        return None
    if route.host == RUNTIME:
        return Route(Q, route.profile_arn)
    return Route(RUNTIME, route.profile_arn or sent_profile_arn(kind, provider, profile_arn))


def is_placeholder(arn: str | None) -> bool:
    """Whether the ARN is Builder ID's, which belongs to nobody in particular."""
    return arn == BUILDER_ID_PLACEHOLDER_ARN
