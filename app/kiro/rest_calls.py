"""What is asked about an account: usage, models, profiles, and the forms in which the first two may be asked.

In: who asks and a `RestForm`. Out: an `HttpCall` ready to be sent, or the forms worth trying, best first. Sends nothing and
does not know which form worked: whoever sends remembers that, as `str(form)`.
The forms exist because reports contradict each other: whether the profile ARN must or must not go along depends on the version
in the user agent, on the kind of account and on the month.
Source: protocol 1.1, 1.4, 1.8, 1.12, 6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from app.kiro.endpoints import API_REGIONS, ClientIdentity, HttpCall, api_region, checked_region, sent_profile_arn, token_type

MODERN, OLD = "modern", "old"
OLD_VERSION = "0.9.2"
"""Accepted without an ARN where newer versions need one; the last version that was pinned for long. Source: protocol 1.4."""
PROFILES_TARGET = "AmazonCodeWhispererService.ListAvailableProfiles"
PROFILES_PER_PAGE = 10
_FORM = re.compile(r"(?P<version>modern|old)(?P<arn>\+arn)?@(?P<region>[a-z0-9-]+)")


@dataclass(frozen=True, slots=True)
class RestForm:
    """One way to ask. version: MODERN is the version of the settings; with_arn: whether the profile ARN goes along."""

    version: str
    with_arn: bool
    region: str

    def __str__(self) -> str:
        return f"{self.version}{'+arn' if self.with_arn else ''}@{self.region}"

    @classmethod
    def parse(cls, text: str) -> RestForm | None:
        """The form `str` made a text of; None for any other text."""
        found = _FORM.fullmatch(text)
        return found and cls(found["version"], found["arn"] is not None, found["region"])


@dataclass(frozen=True, slots=True, repr=False)
class Caller:
    """Who asks. profile_arn: the one a form with an ARN sends, None when there is none to send."""

    kind: str
    access_token: str
    machine_id: str
    profile_arn: str | None


def api_regions(explicit: str | None, profile_arn: str | None, auth_region: str | None) -> tuple[str, ...]:
    """Where an account may be found, the likeliest first: as a chat is called, then wherever the API exists."""
    first = api_region(explicit, profile_arn, auth_region)
    return (first, *(region for region in API_REGIONS if region != first))


def rest_forms(
    *,
    kind: str,
    provider: str | None,
    profile_arn: str | None,
    explicit_region: str | None,
    auth_region: str | None,
    learned: str | None = None,
) -> tuple[RestForm, ...]:
    """The forms to try for a login, each once. learned: the text of the one that worked last.

    The ARN is sent where its profile lives: elsewhere it is refused for certain.
    """
    arn = sent_profile_arn(kind, provider, profile_arn)
    found: list[RestForm] = []
    for region in api_regions(explicit_region, arn, auth_region):
        if arn and region == api_region(None, arn, None):
            found.append(RestForm(MODERN, True, region))
        found.append(RestForm(MODERN, False, region))
        # A key is refused an ARN in any version, so there is nothing the old one would spare it.
        if kind != "api_key":
            found.append(RestForm(OLD, False, region))
    best = RestForm.parse(learned or "")
    return tuple(sorted(found, key=lambda form: form != best))


def usage_call(form: RestForm, caller: Caller, *, identity: ClientIdentity, invocation_id: str) -> HttpCall:
    """`getUsageLimits`; the e-mail comes only when it is asked for (protocol 6)."""
    query = {"isEmailRequired": "true", "origin": "AI_EDITOR", "resourceType": "AGENTIC_REQUEST"}
    return _get("getUsageLimits", query, form, caller, identity, invocation_id)


def models_call(
    form: RestForm, caller: Caller, *, identity: ClientIdentity, invocation_id: str, next_token: str | None = None
) -> HttpCall:
    """`ListAvailableModels` (protocol 1.12), one page."""
    query = {"origin": "AI_EDITOR", **({"nextToken": next_token} if next_token else {})}
    return _get("ListAvailableModels", query, form, caller, identity, invocation_id)


def profiles_call(
    region: str, caller: Caller, *, identity: ClientIdentity, invocation_id: str, next_token: str | None = None
) -> HttpCall:
    """`ListAvailableProfiles` (protocol 1.1 and 1.8), one page: a call by target, whose body is all it says."""
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amz-target": PROFILES_TARGET,
        **_headers(caller, identity.rest_version, identity, invocation_id),
    }
    body = {"maxResults": PROFILES_PER_PAGE, **({"nextToken": next_token} if next_token else {})}
    return HttpCall("POST", f"https://q.{checked_region(region)}.amazonaws.com/", headers, orjson.dumps(body))


def _get(
    operation: str, query: dict[str, str], form: RestForm, caller: Caller, identity: ClientIdentity, invocation_id: str
) -> HttpCall:
    version = OLD_VERSION if form.version == OLD else identity.rest_version
    if form.with_arn and caller.profile_arn:
        query = {**query, "profileArn": caller.profile_arn}
    url = f"https://q.{checked_region(form.region)}.amazonaws.com/{operation}?{urlencode(query)}"
    return HttpCall("GET", url, _headers(caller, version, identity, invocation_id), None)


def _headers(caller: Caller, version: str, identity: ClientIdentity, invocation_id: str) -> dict[str, str]:
    agent = f"KiroIDE-{version}-{caller.machine_id}"
    return {
        "Accept": "application/json",
        "x-amz-user-agent": f"aws-sdk-js/1.0.0 {agent}",
        "User-Agent": (
            f"aws-sdk-js/1.0.0 ua/2.1 os/{identity.system_version} lang/js md/nodejs#{identity.node_version} "
            f"api/codewhispererruntime#1.0.0 m/N,E {agent}"
        ),
        "amz-sdk-invocation-id": invocation_id,
        "amz-sdk-request": "attempt=1; max=1",
        "Authorization": f"Bearer {caller.access_token}",
        **token_type(caller.kind),
        "Connection": "close",
    }
