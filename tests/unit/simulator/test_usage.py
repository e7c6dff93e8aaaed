"""The usage answer's dates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simulator.accounts import Accounts
from simulator.usage import usage_limits


@pytest.mark.parametrize(("today", "reset"), [((2026, 1, 31), (2026, 2, 1)), ((2026, 12, 1), (2027, 1, 1))])
def test_the_quota_comes_back_on_the_first_of_the_next_month(today: tuple[int, int, int], reset: tuple[int, int, int]) -> None:
    account = Accounts().add({"used": 3.25}, now=0.0, token_seconds=1.0)
    usage = usage_limits(account, with_email=False, now=datetime(*today, tzinfo=UTC).timestamp())
    assert usage["nextDateReset"] == datetime(*reset, tzinfo=UTC).timestamp()
    assert "email" not in usage["userInfo"]
    assert usage["usageBreakdownList"][0]["currentUsageWithPrecision"] == 3.25
