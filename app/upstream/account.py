"""Questions about one account: what it has used, which models it has, which profiles it may act for.

In: a credential whose access token can be used. Out: what Kiro says, with the form of the question that worked, for the caller
to remember; or an error of the one tree. Stores nothing, refreshes nothing, and asks in each form once.
An answer that refuses the form (400, and 403 short of a suspension) leads to the next one; a 429 ends it, because more
questions would only make it last. What is raised in the end is what the likeliest form was told.
Source: protocol 1.4, 1.8, 1.12, 6.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from app.credentials.credential import Credential
from app.errors import AccountSuspended, QuotaExhausted, Throttled, UpstreamError
from app.kiro import failures
from app.kiro.endpoints import ClientIdentity, HttpCall, sent_profile_arn
from app.kiro.payload import load
from app.kiro.profiles import Profile, parse_profiles, refuses_builder_ids
from app.kiro.rest_calls import Caller, RestForm, api_regions, models_call, profiles_call, rest_forms, usage_call
from app.kiro.usage import Usage, parse_usage
from app.upstream.http import HttpAnswer, TransportFailed

T = TypeVar("T")

ANSWER_SECONDS = 60.0
MOST_PAGES = 10
REFUSED_FORM = (400, 403)
# These are said to the account, however it is asked.
SAID_TO_THE_ACCOUNT = (Throttled, AccountSuspended, QuotaExhausted)


class Sender(Protocol):
    """`app.upstream.http.Http` is one."""

    def send(self, call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer: ...


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What was said, and the form that worked."""

    value: T
    form: RestForm


class AccountClient:
    """One object per process. identity: the versions we present ourselves with, read for each call."""

    def __init__(self, http: Sender, identity: Callable[[], ClientIdentity]) -> None:
        self._http = http
        self._identity = identity

    def usage(self, credential: Credential) -> Found[Usage]:
        """What the account has used."""
        return self._first_that_works(credential, lambda form: self._usage(form, credential))

    def models(self, credential: Credential) -> Found[tuple[Mapping[str, Any], ...]]:
        """The models the account has, as Kiro describes them; each has a `modelId`."""
        return self._first_that_works(credential, lambda form: tuple(self._models(form, credential)))

    def profiles(self, credential: Credential) -> tuple[Profile, ...]:
        """The profiles the login may act for, from the first region that knows any; none when Kiro says so."""
        refusals: list[UpstreamError] = []
        answered = False
        for region in api_regions(credential.api_region, None, credential.auth_region):
            try:
                found, answered = self._profiles(region, credential), True
            except SAID_TO_THE_ACCOUNT:
                raise
            except UpstreamError as error:
                refusals.append(error)
                continue
            if found is None:
                return ()
            if found:
                return found
        # "Not here" of one region and an empty list of the other are a no; a region out of order is not.
        unclear = [error for error in refusals if not answered or error.upstream_status not in REFUSED_FORM]
        if unclear:
            raise unclear[0]
        return ()

    # -- one form or region --

    def _usage(self, form: RestForm, credential: Credential) -> Usage:
        call = usage_call(form, _caller(credential), identity=self._identity(), invocation_id=str(uuid.uuid4()))
        return parse_usage(self._ask(call, credential))

    def _models(self, form: RestForm, credential: Credential) -> Iterator[Mapping[str, Any]]:
        """Every page, asked for in the same form."""
        next_token: str | None = None
        for _ in range(MOST_PAGES):
            call = models_call(
                form,
                _caller(credential),
                identity=self._identity(),
                invocation_id=str(uuid.uuid4()),
                next_token=next_token,
            )
            page = _mapping(self._ask(call, credential))
            listed = page.get("models")
            models = [_mapping(each) for each in listed] if isinstance(listed, list) else []
            yield from (model for model in models if isinstance(model.get("modelId"), str))
            following = page.get("nextToken")
            if not isinstance(following, str) or not following or following == next_token:
                return
            next_token = following

    def _profiles(self, region: str, credential: Credential) -> tuple[Profile, ...] | None:
        """Every page of a region; None when the login is of a sort that has none."""
        found: list[Profile] = []
        next_token: str | None = None
        for _ in range(MOST_PAGES):
            call = profiles_call(
                region,
                _caller(credential),
                identity=self._identity(),
                invocation_id=str(uuid.uuid4()),
                next_token=next_token,
            )
            answer = self._send(call, credential)
            if refuses_builder_ids(answer.status, answer.body):
                return None
            page = parse_profiles(_said(answer))
            found += page.profiles
            if page.next_token is None or page.next_token == next_token:
                break
            next_token = page.next_token
        return tuple(found)

    # -- asking --

    def _first_that_works(self, credential: Credential, ask: Callable[[RestForm], T]) -> Found[T]:
        first: UpstreamError | None = None
        unreachable: set[str] = set()
        for form in _forms(credential):
            if form.region in unreachable:
                continue
            try:
                return Found(ask(form), form)
            except SAID_TO_THE_ACCOUNT:
                raise
            except TransportFailed as error:
                first = first or error
                unreachable.add(form.region)
            except UpstreamError as error:
                if error.upstream_status not in REFUSED_FORM:
                    raise
                first = first or error
        assert first is not None, "there is always a form to try"
        raise first

    def _ask(self, call: HttpCall, credential: Credential) -> Any:
        return _said(self._send(call, credential))

    def _send(self, call: HttpCall, credential: Credential) -> HttpAnswer:
        return self._http.send(call, proxy_url=credential.proxy_url, timeout_seconds=ANSWER_SECONDS)


def _caller(credential: Credential) -> Caller:
    return Caller(
        kind=credential.kind,
        access_token=credential.access_token or "",
        machine_id=credential.machine_id or "",
        profile_arn=sent_profile_arn(credential.kind, credential.provider, credential.profile_arn),
    )


def _forms(credential: Credential) -> Sequence[RestForm]:
    return rest_forms(
        kind=credential.kind,
        provider=credential.provider,
        profile_arn=credential.profile_arn,
        explicit_region=credential.api_region,
        auth_region=credential.auth_region,
        learned=credential.learned.get("rest"),
    )


def _said(answer: HttpAnswer) -> Any:
    """The JSON of an answer; raises what `app.kiro.failures` makes of an error, also of one that came with status 200."""
    if answer.status != 200:
        raise failures.classify(answer.status, answer.headers, answer.body, now=time.time())
    if (error := failures.in_disguise(answer.body)) is not None:
        raise error
    try:
        return load(answer.body)
    except ValueError as error:
        raise UpstreamError("Kiro's answer about the account cannot be read", upstream_status=200) from error


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
