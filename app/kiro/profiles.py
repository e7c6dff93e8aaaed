"""What ListAvailableProfiles says: the AWS profiles an organisation's login may act for.

In: the JSON of a page, whatever it holds. Out: its profiles and the mark of the next page. Never raises; an entry without an
ARN is no profile.
Source: protocol 1.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Profile:
    """One AWS profile. sso_region: of the Identity Center it belongs to."""

    arn: str
    name: str | None = None
    status: str | None = None
    sso_region: str | None = None


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """One page. next_token: None on the last one."""

    profiles: tuple[Profile, ...]
    next_token: str | None


def parse_profiles(answer: Any) -> ProfilePage:
    """What a page says."""
    whole = _mapping(answer)
    listed = whole.get("profiles")
    entries = [_mapping(each) for each in listed] if isinstance(listed, list) else []
    found = [_profile(entry, arn) for entry in entries if (arn := _text(entry.get("arn")))]
    return ProfilePage(tuple(found), _text(whole.get("nextToken")))


def best(profiles: tuple[Profile, ...]) -> Profile | None:
    """The one to act for: the first that is active, or says nothing about it; else the first."""
    return next((each for each in profiles if each.status in (ACTIVE, None)), next(iter(profiles), None))


def refuses_builder_ids(status: int, body: bytes) -> bool:
    """Whether an answer says that a Builder ID, which this login turns out to be, has no profiles."""
    return status == 403 and b"builder id is not supported" in body.lower()


def _profile(entry: Mapping[str, Any], arn: str) -> Profile:
    details = _mapping(_mapping(entry.get("identityDetails")).get("ssoIdentityDetails"))
    return Profile(arn, _text(entry.get("profileName")), _text(entry.get("status")), _text(details.get("ssoRegion")))


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
