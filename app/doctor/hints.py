"""What to do about a step that failed: one line of advice a kind of error, as data. Source: protocol 1.4, 1.8, 4.3."""

from __future__ import annotations

from app.errors import (
    AccountSuspended,
    GatewayError,
    ProfileRequired,
    QuotaExhausted,
    RefreshFailed,
    RefreshTokenRejected,
    RefreshUnclear,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.upstream.http import HostUnknown, TransportFailed


class NoProfile(GatewayError):
    """An organisation's login that no profile is listed for."""

    default_message = "Kiro lists no profile for this login, in neither region"


class ProfileNotListed(GatewayError):
    """An organisation's login whose stored profile ARN is not among those that are listed for it."""


WAY = "Is there a network, and is the proxy right? A proxy that opens TLS needs its certificate in REQUESTS_CA_BUNDLE."
# The first whose error fits. {id} is the credential's.
HINTS: tuple[tuple[type[GatewayError], str], ...] = (
    (
        RefreshTokenRejected,
        "Sign in again: `flask --app wsgi login` lists the ways; with --replace {id} it stays this credential.",
    ),
    (RefreshUnclear, "It is tried again by itself. If it stays so: `flask --app wsgi login … --replace {id}`."),
    (
        RefreshFailed,
        "See how it stands with `flask --app wsgi credentials list`. The region of an Identity Center login is the one of its "
        "start page; a proxy must let its host through.",
    ),
    (NoProfile, "An administrator has to give this user a Kiro subscription; after that, sign in again."),
    (ProfileNotListed, "Its ARN is of another account: `flask --app wsgi login … --replace {id}` finds the right one."),
    (AccountSuspended, "See the account's page at Kiro; when that is settled: `flask --app wsgi credentials enable {id}`."),
    (
        QuotaExhausted,
        "`flask --app wsgi usage {id}` says when it comes back; another plan, a bonus or overage help before that.",
    ),
    (Throttled, "Wait some minutes: more tries make it last. Do other programs use the same login?"),
    (HostUnknown, "Is the region right? The API exists in us-east-1 and eu-central-1. Else it is this machine's name service."),
    (TransportFailed, f"{WAY} `flask --app wsgi credentials test-proxy {{id}}` tries only that."),
    (
        ProfileRequired,
        "kiro_version or kiro_rest_version is outdated (`flask --app wsgi settings list`), the profile ARN is of another "
        "account or region, or the plan lacks this call.",
    ),
    (
        TokenRejected,
        "Token, profile ARN and API region have to belong together. If they do, sign in again: "
        "`flask --app wsgi login … --replace {id}`.",
    ),
    (UpstreamRefused, "Kiro refuses the question itself: is kiro_version still accepted, and the model in the plan?"),
    (UpstreamUnavailable, "Kiro is overloaded: try again in some minutes."),
    (UpstreamError, "Kiro is out of order, or answers as nobody expected: try again in some minutes."),
)


def hint(error: Exception, id_: int) -> str | None:
    """What helps against an error, None when nobody knows."""
    return next((text.format(id=id_) for kind, text in HINTS if isinstance(error, kind)), None)
