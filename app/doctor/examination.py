"""Takes the steps that a request of one credential takes, one by one.

In: a credential. Out: `Step`s as they are done: token, profile, models, usage, one word of chat. One that failed does not keep
the next from being tried, as long as there is a token to try it with. What is found out is kept as a request would (tokens,
profile, usage, the forms that work); the credential's state is not touched.
Source: protocol 1.1 to 1.8.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from app.anthropic.request import parse_message_request
from app.credentials.credential import Credential, Freshness
from app.credentials.profiles import Profiles, lacks_profile
from app.credentials.scheduler import moment
from app.credentials.store import CredentialStore
from app.credentials.usage import UsagePoller
from app.doctor.hints import NoProfile, ProfileNotListed, hint
from app.doctor.step import FAILED, OK, SKIPPED, Step
from app.doctor.wire import WatchedHttp, milliseconds, try_way
from app.errors import GatewayError, ProfileRequired, RefreshFailed, TokenRejected, UpstreamError, UpstreamUnavailable
from app.kiro.endpoints import DEFAULT_REGION, ClientIdentity, sent_profile_arn
from app.kiro.events import AssistantText, KiroEvent, Metering
from app.kiro.request import KiroRequest
from app.kiro.routes import HOST_GONE, Route, first_route, other_arn, other_host
from app.runtime.clock import TimeLimit, limit
from app.runtime.sockets import wait_readable
from app.settings import Settings
from app.translate.models import CatalogueModel, resolve
from app.translate.request import translate_request
from app.upstream.account import AccountClient
from app.upstream.client import Answer, ChatClient
from app.upstream.http import HostUnknown, Http

# The cheapest of those that every plan had so far; "auto" is what Kiro itself falls back to.
CHAT_MODEL, ANY_MODEL = "claude-haiku-4.5", "auto"
CHAT_SECONDS = 60.0
CHAT_COSTS = "The chat step asks for one word and costs about a hundredth of a credit; --no-chat leaves it out."
NAMED_MODELS = 5


class NoToken(GatewayError):
    """The step cannot be tried."""

    default_message = "not tried: there is no token to try it with"


@dataclass(slots=True)
class _Visit:
    """One examination under way. models: what was listed."""

    credential: Credential
    wire: WatchedHttp
    models: list[str] = field(default_factory=list)

    @property
    def account(self) -> tuple[str, str | None, str | None]:
        """Kind, provider and profile ARN, which decide what is sent."""
        return self.credential.kind, self.credential.provider, self.credential.profile_arn


class Doctor:
    """One object per process.

    fresh: gives the credential with a token that can be used. proxy_of: the proxy in force for a URL and a credential's own.
    """

    def __init__(
        self,
        store: CredentialStore,
        *,
        http: Http,
        fresh: Callable[[Credential], Credential],
        usage: UsagePoller,
        identity: Callable[[], ClientIdentity],
        settings: Callable[[], Settings],
        catalogue: Callable[[], tuple[CatalogueModel, ...]],
        proxy_of: Callable[[str, str | None], str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._http = http
        self._fresh = fresh
        self._usage = usage
        self._identity = identity
        self._settings = settings
        self._catalogue = catalogue
        self._proxy_of = proxy_of
        self._clock = clock

    def examine(self, credential: Credential, *, chat: bool = True) -> Iterator[Step]:
        """Every step, each as soon as it is done. chat: whether to take the one that costs credits."""
        visit = _Visit(credential, self._wire())
        yield self._step("token", visit, self._token)
        yield self._step("profile", visit, self._profile)
        yield self._step("models", visit, self._models)
        yield self._step("usage", visit, self._look)
        if chat:
            yield self._step("chat", visit, self._chat)

    def try_way(self, proxy_url: str | None) -> Step:
        """Only whether Kiro is reached. proxy_url: as a credential has it, None for the general one."""
        return try_way(self._wire(), proxy_url)

    def _wire(self) -> WatchedHttp:
        return WatchedHttp(self._http, self._proxy_of)

    def _step(self, name: str, visit: _Visit, take: Callable[[_Visit], str]) -> Step:
        visit.wire.seen.clear()
        began_at = time.monotonic()
        advice = None
        try:
            outcome, said = OK, take(visit)
        except NoToken as error:
            outcome, said = SKIPPED, error.message
        except GatewayError as error:
            outcome, said, advice = FAILED, error.message, hint(error, visit.credential.id)
        except ValueError as error:  # what is stored makes no call: a region that is none
            outcome, said = FAILED, str(error)
        return Step(name, outcome, said, tuple(visit.wire.seen), milliseconds(began_at), advice)

    # -- the steps: what each says when it works --

    def _token(self, visit: _Visit) -> str:
        credential = visit.credential
        if credential.kind == "api_key":
            return "an API key: it is not refreshed"
        needed = credential.freshness(self._clock()) is Freshness.EXPIRED
        began_at = time.monotonic()
        try:
            visit.credential = self._fresh(credential)
        except RefreshFailed:
            visit.wire.note(_token_url(credential), credential.proxy_url, None, milliseconds(began_at))
            raise
        if needed:
            visit.wire.note(_token_url(credential), credential.proxy_url, 200, milliseconds(began_at))
        until = moment(visit.credential.expires_at or 0.0)
        return f"refreshed, good until {until}" if needed else f"good until {until}"

    def _profile(self, visit: _Visit) -> str:
        credential = visit.credential
        if credential.kind == "api_key":
            return "none is sent with an API key"
        if not lacks_profile(replace(credential, profile_arn=None)):
            return f"none of its own is needed; {sent_profile_arn(*visit.account)} is sent"
        self._must_have_token(visit)
        account = AccountClient(visit.wire, self._identity)
        if not credential.profile_arn:
            visit.credential = credential = Profiles(self._store, account).search(credential)
            if not credential.profile_arn:
                raise NoProfile
            return f"found and stored: {credential.profile_arn}"
        listed = {each.arn: each for each in account.profiles(credential)}
        if credential.profile_arn not in listed:
            raise ProfileNotListed(f"{credential.profile_arn} is not among the {len(listed)} that Kiro lists for this login")
        profile = listed[credential.profile_arn]
        return (
            f"{profile.name or 'unnamed'} of the Identity Center in {profile.sso_region or 'a region not told'}: {profile.arn}"
        )

    def _models(self, visit: _Visit) -> str:
        self._must_have_token(visit)
        found = AccountClient(visit.wire, self._identity).models(visit.credential)
        self._store.learn(visit.credential.id, rest=str(found.form))
        visit.models = [str(model["modelId"]) for model in found.value]
        more = ", …" if len(visit.models) > NAMED_MODELS else ""
        return f"{len(visit.models)} models: {', '.join(visit.models[:NAMED_MODELS])}{more} ({found.form})"

    def _look(self, visit: _Visit) -> str:
        self._must_have_token(visit)
        found = AccountClient(visit.wire, self._identity).usage(visit.credential)
        self._usage.keep(visit.credential, found)
        usage = found.value
        if usage.used is None or usage.limit is None:
            return "Kiro names no credits"
        reset = f", reset {moment(usage.reset_at)}" if usage.reset_at else ""
        plan = usage.plan_title or "a plan without a name"
        return f"{usage.used:.2f} of {usage.limit:g} credits used{reset}; {plan} ({found.form})"

    def _chat(self, visit: _Visit) -> str:
        self._must_have_token(visit)
        hosts = self._settings().upstream_hosts
        route = first_route(*visit.account, visit.credential.learned, hosts)
        try:
            return self._say(visit, route)
        except UpstreamError as error:
            other = _other_route(visit, route, error, hosts)
            if other is None:
                raise
            said = self._say(visit, other)
        self._store.learn(visit.credential.id, **other.learned())
        return said

    def _say(self, visit: _Visit, route: Route) -> str:
        model = CHAT_MODEL if CHAT_MODEL in visit.models or not visit.models else ANY_MODEL
        client = ChatClient(visit.wire, self._identity)
        document = _document(model, self._catalogue())
        answer = client.open(visit.credential, document, route=route, first_event_seconds=CHAT_SECONDS)
        text, paid = _read(answer)
        cost = "" if paid is None else f", for {paid} credits"
        return f"{model} answers {text.strip()[:40]!r}{cost} ({route})"

    def _must_have_token(self, visit: _Visit) -> None:
        if not visit.credential.access_token or visit.credential.freshness(self._clock()) is Freshness.EXPIRED:
            raise NoToken


def _token_url(credential: Credential) -> str:
    """Where its tokens are traded."""
    region = credential.auth_region or DEFAULT_REGION
    if credential.kind == "external_idp":
        return credential.token_endpoint or ""
    return (
        f"https://oidc.{region}.amazonaws.com" if credential.kind == "idc" else f"https://prod.{region}.auth.desktop.kiro.dev"
    )


def _other_route(visit: _Visit, route: Route, error: UpstreamError, hosts: str) -> Route | None:
    """The way a request would try next."""
    if isinstance(error, HostUnknown) or error.upstream_status in HOST_GONE:
        return other_host(route, *visit.account, hosts)
    if isinstance(error, ProfileRequired | TokenRejected):
        return other_arn(route, *visit.account)
    return None


def _document(model: str, catalogue: tuple[CatalogueModel, ...]) -> KiroRequest:
    asked = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Answer with the word OK."}]}
    request = parse_message_request(asked, version="2023-06-01")
    conversation_id, continuation_id = str(uuid.uuid4()), str(uuid.uuid4())
    translation = translate_request(
        request, model=resolve(model, catalogue), conversation_id=conversation_id, continuation_id=continuation_id
    )
    return translation.kiro


def _read(answer: Answer) -> tuple[str, Decimal | None]:
    """The whole answer: its text, and what it cost."""
    events: list[KiroEvent] = list(answer.first_events)
    try:
        with limit(CHAT_SECONDS):
            while not answer.ended:
                if not answer.has_buffered:
                    wait_readable(answer.socket, None)
                events += answer.receive()
            answer.finish()
    except TimeLimit as error:
        raise UpstreamUnavailable(f"the answer was not whole after {CHAT_SECONDS:g} seconds") from error
    finally:
        answer.close()
    text = "".join(event.text for event in events if isinstance(event, AssistantText))
    paid = [event.credits for event in events if isinstance(event, Metering)]
    return text, sum(paid, Decimal(0)) if paid else None
