"""Retries and failovers of one request, with a pool and an upstream that do as they are told."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from app.attempts import Attempts
from app.credentials.credential import Credential
from app.credentials.pool import Lease
from app.credentials.scheduler import Wanted
from app.errors import (
    AtCapacity,
    GatewayError,
    NoUsableCredential,
    ProfileRequired,
    PromptTooLong,
    QuotaExhausted,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN
from app.kiro.failures import PROMPT_TOO_LONG
from app.kiro.request import KiroRequest
from app.kiro.routes import Route
from app.settings import snapshot
from app.translate.preflight import NOTHING_FOUND
from app.upstream.http import HostUnknown, TransportFailed

ANSWER = object()


def login(id_: int, kind: str = "social") -> Credential:
    return Credential(id=id_, kind=kind, access_token=f"aoa-{id_}", refresh_token="r" * 100, expires_at=9e9, priority=id_)


class FakePool:
    """Lends in order; who is excluded or rests is passed over."""

    def __init__(self, credentials: list[Credential]) -> None:
        self.credentials = credentials
        self.failed: list[tuple[int, str]] = []
        self.renewed: list[int] = []
        self.learned: list[tuple[int, dict[str, str]]] = []
        self.wanted: list[Wanted] = []
        self.profiles: dict[int, str] = {}
        self.profile_errors: list[GatewayError] = []
        self.lent = 0
        self.full = 0

    def usable_count(self, enough: int | None = None) -> int:
        return len(self.credentials)

    def lend(self, wanted: Wanted) -> Lease:
        self.wanted.append(wanted)
        if self.full:
            self.full -= 1
            raise AtCapacity("full")
        for credential in self.credentials:
            if credential.id not in wanted.excluded:
                self.lent += 1
                return Lease(credential, "first by priority")
        raise NoUsableCredential

    def renew(self, lease: Lease) -> Lease:
        self.renewed.append(lease.credential.id)
        self.lent += 1
        return Lease(lease.credential, "token refused, refreshed")

    def succeed(self, lease: Lease) -> None:
        """Nothing to note."""

    def with_profile(self, lease: Lease) -> Credential:
        if self.profile_errors:
            raise self.profile_errors.pop(0)
        return replace(lease.credential, profile_arn=self.profiles.get(lease.credential.id))

    def give_back(self, _lease: Lease) -> None:
        self.lent -= 1

    def learn(self, lease: Lease, found: dict[str, str]) -> None:
        self.learned.append((lease.credential.id, found))

    def fail(self, lease: Lease, error: GatewayError) -> None:
        self.failed.append((lease.credential.id, type(error).__name__))


class FakeClient:
    """Raises what is queued, then answers."""

    def __init__(self, *errors: GatewayError) -> None:
        self.errors = list(errors)
        self.asked: list[tuple[int, str | None]] = []
        self.hosts: list[str] = []

    def open(self, credential: Credential, request: KiroRequest, *, route: Route, first_event_seconds: float) -> Any:
        self.asked.append((credential.id, route.profile_arn))
        self.hosts.append(route.host)
        if self.errors:
            raise self.errors.pop(0)
        return ANSWER


def with_state(**fields: str) -> KiroRequest:
    """A document that is sound but for these fields."""
    message = {"content": "Hi", "modelId": "auto", "origin": "AI_EDITOR"}
    state = {"chatTriggerType": "MANUAL", "conversationId": "c", "currentMessage": {"userInputMessage": message}}
    return KiroRequest({**state, **fields})


SOUND = with_state()


def attempts(pool: FakePool, client: FakeClient, request: KiroRequest = SOUND) -> Attempts:
    return Attempts(
        pool,  # type: ignore[arg-type]
        client,  # type: ignore[arg-type]
        request,
        snapshot({}),
        input_tokens=10,
        context_tokens=200_000,
        sleep=lambda _seconds: None,
    )


def run(credentials: list[Credential], *errors: GatewayError, request: KiroRequest = SOUND) -> tuple[Any, FakePool, FakeClient]:
    """The answer or the error, and what was done on the way."""
    pool, client = FakePool(credentials), FakeClient(*errors)
    try:
        return attempts(pool, client, request).open(), pool, client
    except GatewayError as error:
        return error, pool, client


def test_a_passing_fault_is_tried_again_three_times_a_credential() -> None:
    end, _, client = run([login(1), login(2)], *[UpstreamUnavailable("busy", upstream_status=503) for _ in range(20)])
    assert isinstance(end, UpstreamUnavailable)
    assert Counter(id_ for id_, _ in client.asked) == {1: 3, 2: 3}


def test_nine_attempts_are_the_limit() -> None:
    _, _, client = run([login(id_) for id_ in range(1, 8)], *[UpstreamUnavailable("busy") for _ in range(30)])
    assert len(client.asked) == 9


@pytest.mark.parametrize("error", [Throttled("slow down"), QuotaExhausted("used up")])
def test_who_has_had_enough_is_left_at_once(error: GatewayError) -> None:
    end, pool, client = run([login(1), login(2)], error)
    assert end is ANSWER
    assert [id_ for id_, _ in client.asked] == [1, 2]
    assert pool.failed == [(1, type(error).__name__)]


def test_a_refused_token_is_renewed_once_and_then_left() -> None:
    end, pool, client = run([login(1), login(2)], TokenRejected("no"), TokenRejected("still no"))
    assert end is ANSWER
    assert [id_ for id_, _ in client.asked] == [1, 1, 2]
    assert pool.renewed == [1]
    assert pool.failed == [(1, "TokenRejected")]


def test_a_builder_id_whose_fresh_token_is_refused_goes_without_the_placeholder() -> None:
    end, pool, client = run([login(1, "idc")], TokenRejected("no"), TokenRejected("still no"))
    assert end is ANSWER
    assert [arn for _, arn in client.asked] == [BUILDER_ID_PLACEHOLDER_ARN, BUILDER_ID_PLACEHOLDER_ARN, None]
    assert pool.failed == []


def test_a_model_that_one_plan_lacks_is_asked_of_one_other() -> None:
    unknown = [UpstreamRefused("Invalid model", upstream_status=400, reason="INVALID_MODEL_ID") for _ in range(3)]
    end, pool, client = run([login(1), login(2), login(3)], *unknown)
    assert end is unknown[1]
    assert [id_ for id_, _ in client.asked] == [1, 2]
    assert pool.failed == [], "nothing is wrong with the credentials"


def test_a_refusal_is_told_at_once() -> None:
    refused = UpstreamRefused("Improperly formed request.", upstream_status=400)
    end, pool, client = run([login(1), login(2)], refused)
    assert end.__cause__ is refused
    assert len(client.asked) == 1
    assert pool.failed == []


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (SOUND, NOTHING_FOUND),
        (with_state(chatTriggerType="AUTO"), 'Likely cause: the conversation: "chatTriggerType" is AUTO.'),
        (with_state(chatTriggerType="AUTO", conversationId=""),
         'Likely cause: the conversation: "chatTriggerType" is AUTO; the conversation: "conversationId" is missing.'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reason", [None, "REQUEST_BODY_INVALID"])
def test_a_general_refusal_names_the_likely_cause(request_: KiroRequest, told: str, reason: str | None) -> None:
    refused = UpstreamRefused("Kiro refuses this request: Improperly formed request.", upstream_status=400, reason=reason)
    end, _, _ = run([login(1)], refused, request=request_)
    assert str(end) == f"Kiro refuses this request: Improperly formed request. {told}"
    assert (type(end), end.status, end.reason, end.upstream_status) == (UpstreamRefused, 400, reason, 400)


@pytest.mark.parametrize(("reason", "status"), [("IMAGE_SIZE_EXCEEDED", 400), (None, None)])
def test_a_refusal_that_explains_itself_is_told_as_it_came(reason: str | None, status: int | None) -> None:
    refused = UpstreamRefused("Kiro refuses this request: no", upstream_status=status, reason=reason)
    end, _, _ = run([login(1)], refused, request=with_state(chatTriggerType="AUTO"))
    assert end is refused


def test_an_over_long_prompt_is_told_in_numbers() -> None:
    end, _, _ = run([login(1)], UpstreamRefused("too long", reason=PROMPT_TOO_LONG))
    assert isinstance(end, PromptTooLong)
    assert str(end) == "prompt is too long: 200001 tokens > 200000 maximum"


def test_after_a_timeout_at_the_edge_nobody_waits_again() -> None:
    end, _, client = run([login(1), login(2)], UpstreamUnavailable("timeout", upstream_status=524))
    assert isinstance(end, UpstreamUnavailable)
    assert len(client.asked) == 1


def unreached(clock: list[float], seconds: float) -> FakeClient:
    """Every connect runs out of its time."""

    class BlackHole(FakeClient):
        def open(self, credential: Credential, request: KiroRequest, *, route: Route, first_event_seconds: float) -> Any:
            clock[0] += seconds
            self.asked.append((credential.id, route.profile_arn))
            raise TransportFailed("Kiro cannot be reached", sent=False)

    return BlackHole()


@pytest.mark.parametrize(("seconds", "asked"), [(5.0, [1, 2]), (10.0, [1]), (0.01, [1, 1, 1, 2, 2, 2, 3, 3, 3])])
def test_matrix_18_a_black_hole_is_met_twice_and_no_more(
    seconds: float, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("app.attempts.time.monotonic", lambda: clock[0])
    pool = FakePool([login(1), login(2), login(3)])
    client = unreached(clock, seconds)
    with pytest.raises(TransportFailed):
        attempts(pool, client).open()
    assert [id_ for id_, _ in client.asked] == asked
    assert clock[0] <= 10


def test_every_attempt_is_written_down() -> None:
    pool, client = FakePool([login(1), login(2)]), FakeClient(Throttled("slow down"))
    these = attempts(pool, client)
    these.open()
    these.succeeded()
    assert [(entry.credential_id, entry.status) for entry in these.log] == [(1, "Throttled"), (2, "ok")]
    assert these.credential_id == 0


# -- the way a chat goes --

PROFILE = ProfileRequired("profileArn is required", upstream_status=400)
GONE = UpstreamError("gone", upstream_status=410)


def test_a_refused_arn_is_left_out_once_and_that_is_remembered() -> None:
    pool, client = FakePool([login(1, "idc")]), FakeClient(PROFILE)
    tries = attempts(pool, client)
    assert tries.open() is ANSWER
    tries.succeeded()
    assert [arn for _, arn in client.asked] == [BUILDER_ID_PLACEHOLDER_ARN, None]
    assert pool.learned == [(1, {"chat_host": "q", "chat_arn": "left_out"})]
    assert pool.failed == []
    assert tries.log[-1].why == "first by priority; q host, without profile ARN"


def test_an_arn_that_is_refused_in_both_forms_is_the_credentials_fault() -> None:
    end, pool, client = run([login(1, "idc"), login(2)], PROFILE, PROFILE)
    assert end is ANSWER
    assert [id_ for id_, _ in client.asked] == [1, 1, 2]
    assert pool.failed == [(1, "ProfileRequired")]


@pytest.mark.parametrize("error", [GONE, HostUnknown("no such name", sent=False)])
def test_a_host_that_is_gone_is_left_for_the_newer_one(error: GatewayError) -> None:
    pool, client = FakePool([login(1)]), FakeClient(error)
    tries = attempts(pool, client)
    assert tries.open() is ANSWER
    tries.succeeded()
    assert client.hosts == ["q", "runtime"]
    assert pool.learned == [(1, {"chat_host": "runtime", "chat_arn": "sent"})]


def test_a_network_without_names_is_told_after_both_hosts() -> None:
    end, _, client = run([login(1)], *[HostUnknown("no such name", sent=False) for _ in range(9)])
    assert isinstance(end, HostUnknown)
    assert client.hosts[:2] == ["q", "runtime"]
    assert len(client.hosts) == 3


def test_a_way_that_worked_at_once_is_not_written_down() -> None:
    pool = FakePool([login(1)])
    tries = attempts(pool, FakeClient())
    tries.open()
    tries.succeeded()
    assert pool.learned == []


# -- how many at once --


def test_each_attempt_is_given_back_however_it_ends() -> None:
    pool = FakePool([login(1), login(2)])
    tries = attempts(pool, FakeClient(Throttled("slow down"), TokenRejected("no")))
    tries.open()
    assert pool.lent == 1
    tries.abandoned()
    tries.abandoned()
    assert pool.lent == 0


def test_a_full_credential_is_waited_for_a_moment() -> None:
    pool = FakePool([login(1)])
    pool.full = 3
    assert attempts(pool, FakeClient()).open() is ANSWER
    assert len(pool.wanted) == 4


def test_one_that_stays_full_is_told() -> None:
    pool = FakePool([login(1)])
    pool.full = 1000
    with pytest.raises(AtCapacity):
        attempts(pool, FakeClient()).open()


# -- whose profile --


def test_an_organisations_login_goes_with_the_profile_that_was_found() -> None:
    pool, client = FakePool([login(1, "external_idp")]), FakeClient()
    pool.profiles[1] = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABC"
    attempts(pool, client).open()
    assert client.asked == [(1, pool.profiles[1])]


def test_a_look_up_that_fails_is_a_failed_attempt() -> None:
    pool, client = FakePool([login(1), login(2)]), FakeClient()
    pool.profile_errors.append(Throttled("slow down"))
    tries = attempts(pool, client)
    assert tries.open() is ANSWER
    assert [id_ for id_, _ in client.asked] == [2]
    assert pool.failed == [(1, "Throttled")]
    assert [attempt.status for attempt in tries.log] == ["Throttled"]
    assert pool.lent == 1


def test_the_document_is_let_go_of_once_content_was_passed_on() -> None:
    request = with_state(conversationId="long")
    opened = attempts(FakePool([login(1)]), FakeClient(), request)
    opened.open()
    held = sys.getrefcount(request)
    opened.settle()
    assert sys.getrefcount(request) == held - 1
    opened.succeeded()
    assert [attempt.status for attempt in opened.log] == ["ok"]
