"""An account's credits, out of an answer in which anything may be missing. Source: protocol 6."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kiro.usage import BASE, BONUS, TRIAL, Part, Usage, parse_usage, restore

ANSWER: dict[str, Any] = {
    "daysUntilReset": 12,
    "nextDateReset": 1772323200.0,
    "limits": [{"type": "AGENTIC_REQUEST", "currentUsage": 12, "totalUsageLimit": 50, "percentUsed": 24.0}],
    "usageBreakdownList": [
        {"resourceType": "VIBE", "currentUsage": 1, "usageLimit": 2},
        {
            "resourceType": "CREDIT",
            "displayName": "Credit",
            "displayNamePlural": "Credits",
            "currentUsage": 12,
            "currentUsageWithPrecision": 12.37,
            "usageLimit": 50,
            "usageLimitWithPrecision": 50.0,
            "currentOverages": 0,
            "currentOveragesWithPrecision": 0.25,
            "overageCap": 10000,
            "overageCapWithPrecision": 10000.0,
            "overageRate": 0.04,
            "overageCharges": 0.01,
            "currency": "USD",
            "nextDateReset": 1772323201.0,
            "freeTrialInfo": {
                "freeTrialStatus": "ACTIVE",
                "freeTrialExpiry": 1771000000.0,
                "currentUsage": 100,
                "currentUsageWithPrecision": 100.5,
                "usageLimit": 500,
                "usageLimitWithPrecision": 500.0,
            },
            "bonuses": [
                {
                    "bonusCode": "EXAMPLE",
                    "displayName": "Welcome bonus",
                    "status": "ACTIVE",
                    "currentUsage": 3.5,
                    "usageLimit": 100.0,
                    "expiresAt": 1774000000.0,
                },
                {"bonusCode": "OLD", "status": "EXPIRED", "currentUsage": 9.0, "usageLimit": 9.0},
            ],
        },
    ],
    "subscriptionInfo": {
        "subscriptionTitle": "KIRO PRO",
        "type": "Q_DEVELOPER_STANDALONE_PRO",
        "overageCapability": "OVERAGE_CAPABLE",
    },
    "overageConfiguration": {"overageStatus": "DISABLED"},
    "userInfo": {"userId": "d-1.0", "email": "user@example.test"},
}
CREDIT = ANSWER["usageBreakdownList"][1]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def changed(**values: Any) -> dict[str, Any]:
    """The answer with another credit entry."""
    return {**ANSWER, "usageBreakdownList": [{**CREDIT, **values}]}


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in an answer."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, each in inner for path in paths(each, (*here, key)))]


PLACES = paths(ANSWER)[1:]


def test_base_trial_and_active_bonuses_add_up() -> None:
    usage = parse_usage(ANSWER)
    assert usage.parts == (
        Part(BASE, "Credits", 12.37, 50.0),
        Part(TRIAL, "Free trial", 100.5, 500.0, 1771000000.0),
        Part(BONUS, "Welcome bonus", 3.5, 100.0, 1774000000.0),
    )
    assert usage.used == pytest.approx(116.37)
    assert usage.limit == 650.0
    assert usage.remaining == pytest.approx(533.63)
    assert usage.percent == pytest.approx(17.903, abs=1e-3)


def test_plan_reset_address_and_overage_are_read() -> None:
    usage = parse_usage(ANSWER)
    assert (usage.reset_at, usage.email) == (1772323200.0, "user@example.test")
    assert (usage.plan_title, usage.plan_type) == ("KIRO PRO", "Q_DEVELOPER_STANDALONE_PRO")
    assert (usage.overage_status, usage.overage_capability, usage.pays_overage) == ("DISABLED", "OVERAGE_CAPABLE", False)
    assert (usage.overage_cap, usage.overage_used) == (10000.0, 0.25)
    assert (usage.overage_rate, usage.overage_charges, usage.currency) == (0.04, 0.01, "USD")
    assert parse_usage({**ANSWER, "overageConfiguration": {"overageStatus": "ENABLED"}}).pays_overage


@pytest.mark.parametrize(
    ("entry", "used", "limit"),
    [
        ({"currentUsageWithPrecision": None, "usageLimitWithPrecision": None}, 12.0, 50.0),
        ({"currentUsage": 99, "usageLimit": 99}, 12.37, 50.0),
        ({"currentUsageWithPrecision": 0.0}, 0.0, 50.0),
        ({"currentUsageWithPrecision": True, "currentUsage": "12"}, 0.0, 50.0),
    ],
)
def test_the_precise_number_wins(entry: dict[str, Any], used: float, limit: float) -> None:
    usage = parse_usage(changed(freeTrialInfo=None, bonuses=None, **entry))
    assert (usage.used, usage.limit) == (used, limit)


def test_without_credits_the_first_resource_counts() -> None:
    vibe = {"resourceType": "VIBE", "currentUsage": 1, "usageLimit": 2}
    spec = {"resourceType": "SPEC", "currentUsage": 3, "usageLimit": 4}
    assert parse_usage({"usageBreakdownList": [None, {}, vibe, spec]}).parts == (Part(BASE, "VIBE", 1.0, 2.0),)


@pytest.mark.parametrize("single", [CREDIT, [CREDIT]])
def test_a_single_breakdown_is_read_too(single: Any) -> None:
    answer = {**ANSWER, "usageBreakdownList": None, "usageBreakdown": single}
    assert parse_usage(answer).parts == parse_usage(ANSWER).parts


def test_a_trial_that_is_over_does_not_count() -> None:
    over = {**CREDIT["freeTrialInfo"], "freeTrialStatus": "EXPIRED"}
    assert [part.kind for part in parse_usage(changed(freeTrialInfo=over)).parts] == [BASE, BONUS]


def test_the_reset_of_the_resource_stands_in_for_the_answer_s() -> None:
    assert parse_usage({**ANSWER, "nextDateReset": None}).reset_at == 1772323201.0
    assert parse_usage({**ANSWER, "nextDateReset": 1772323200000}).reset_at == 1772323200.0, "milliseconds"
    assert parse_usage({**changed(nextDateReset=-1), "nextDateReset": 0}).reset_at is None


def test_overage_is_not_left_over() -> None:
    usage = parse_usage(changed(currentUsageWithPrecision=80.0, freeTrialInfo=None, bonuses=[]))
    assert (usage.remaining, usage.percent) == (0.0, 100.0)
    assert parse_usage(changed(usageLimitWithPrecision=0.0, freeTrialInfo=None, bonuses=[])).percent == 0.0


@pytest.mark.parametrize("answer", [None, [], "{}", 7, {}, {"usageBreakdownList": []}, {"usageBreakdownList": [{}]}])
def test_what_says_nothing_is_known_to_say_nothing(answer: Any) -> None:
    usage = parse_usage(answer)
    assert usage == Usage()
    assert (usage.used, usage.limit, usage.remaining, usage.percent) == (None, None, None, None)


@given(JSON)
def test_any_json_is_read(answer: Any) -> None:
    assert isinstance(parse_usage(answer), Usage)


@given(st.sampled_from(PLACES), JSON)
def test_any_field_may_be_anything(path: tuple[Any, ...], value: Any) -> None:
    answer = copy.deepcopy(ANSWER)
    place: Any = answer
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    usage = parse_usage(answer)
    for number in (usage.used, usage.limit, usage.remaining, usage.percent, usage.reset_at, usage.overage_cap):
        assert number is None or math.isfinite(number)
    assert restore(json.loads(json.dumps(usage.as_json()))) == usage


@pytest.mark.parametrize("path", PLACES)
def test_any_field_may_be_absent(path: tuple[Any, ...]) -> None:
    answer = copy.deepcopy(ANSWER)
    place: Any = answer
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    assert isinstance(parse_usage(answer), Usage)


def test_what_was_stored_by_another_version_is_read_as_far_as_it_goes() -> None:
    assert restore(None) is None
    stored = {"plan_title": "KIRO PRO", "of_another_version": 1, "parts": [None, {"limit": 5}]}
    assert restore(stored) == Usage(parts=(Part(BASE, "", 0.0, 0.0), Part(BASE, "", 0.0, 5.0)), plan_title="KIRO PRO")
