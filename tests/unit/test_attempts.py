"""Retries and failovers of one request, with a pool and an upstream that do as they are told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.attempts import Attempts
from app.credentials.credential import Credential
from app.credentials.pool import Lease
from app.errors import (
    GatewayError,
    NoUsableCredential,
    PromptTooLong,
    QuotaExhausted,
    Throttled,
    TokenRejected,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN
from app.kiro.failures import PROMPT_TOO_LONG
from app.kiro.request import KiroRequest
from app.settings import snapshot
from app.translate.preflight import NOTHING_FOUND

ANSWER = object()


def login(id_: int, kind: str = "social") -> Credential:
    return Credential(id=id_, kind=kind, access_token=f"aoa-{id_}", refresh_token="r" * 100, expires_at=9e9, priority=id_)


class FakePool:
    """Lends in order; who is excluded or rests is passed over."""

    def __init__(self, credentials: list[Credential]) -> None:
        self.credentials = credentials
        self.failed: list[tuple[int, str]] = []
        self.renewed: list[int] = []

    def usable_count(self) -> int:
        return len(self.credentials)

    def lend(self, excluded: frozenset[int]) -> Lease:
        for credential in self.credentials:
            if credential.id not in excluded:
                return Lease(credential, "first by priority")
        raise NoUsableCredential

    def renew(self, lease: Lease) -> Lease:
        self.renewed.append(lease.credential.id)
        return Lease(lease.credential, "token refused, refreshed")

    def succeed(self, lease: Lease) -> None:
        """Nothing to note."""

    def fail(self, lease: Lease, error: GatewayError) -> None:
        self.failed.append((lease.credential.id, type(error).__name__))


class FakeClient:
    """Raises what is queued, then answers."""

    def __init__(self, *errors: GatewayError) -> None:
        self.errors = list(errors)
        self.asked: list[tuple[int, str | None]] = []

    def open(self, credential: Credential, request: KiroRequest, *, profile_arn: str | None, first_event_seconds: float) -> Any:
        self.asked.append((credential.id, profile_arn))
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


def test_every_attempt_is_written_down() -> None:
    pool, client = FakePool([login(1), login(2)]), FakeClient(Throttled("slow down"))
    these = attempts(pool, client)
    these.open()
    these.succeeded()
    assert [(entry.credential_id, entry.status) for entry in these.log] == [(1, "Throttled"), (2, "ok")]
    assert these.credential_id == 0
