"""getUsageLimits: how much of its plan an account has used. Source: protocol 6."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from simulator.accounts import PLANS, Account


def usage_limits(account: Account, *, with_email: bool, now: float) -> dict[str, Any]:
    """The whole answer; the e-mail only for those who ask."""
    title, kind = PLANS[account.plan]
    reset_at = _first_of_next_month(now)
    return {
        "daysUntilReset": max(1, int((reset_at - now) // 86_400)),
        "nextDateReset": reset_at,
        "limits": [],
        "usageBreakdownList": [
            {
                "resourceType": "CREDIT",
                "displayName": "Credit",
                "displayNamePlural": "Credits",
                "unit": "INVOCATIONS",
                "currentUsage": int(account.used),
                "currentUsageWithPrecision": round(account.used, 6),
                "usageLimit": int(account.quota),
                "usageLimitWithPrecision": account.quota,
                "currentOverages": 0,
                "currentOveragesWithPrecision": max(0.0, round(account.used - account.quota, 6)),
                "overageCap": 10_000,
                "overageCapWithPrecision": 10_000.0,
                "overageRate": 0.04,
                "overageCharges": 0.0,
                "currency": "USD",
                "nextDateReset": reset_at,
                "freeTrialInfo": None,
                "bonuses": [],
            }
        ],
        "subscriptionInfo": {
            "subscriptionTitle": title,
            "type": kind,
            "upgradeCapability": "UPGRADE_CAPABLE",
            "overageCapability": "OVERAGE_INCAPABLE" if account.plan == "free" else "OVERAGE_CAPABLE",
            "subscriptionManagementTarget": "MANAGE",
        },
        "overageConfiguration": {"overageStatus": "ENABLED" if account.overage else "DISABLED"},
        "userInfo": {"userId": f"d-1234567890.{account.id}", **({"email": account.email} if with_email else {})},
    }


def _first_of_next_month(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC)
    year, month = (today.year + 1, 1) if today.month == 12 else (today.year, today.month + 1)
    return datetime(year, month, 1, tzinfo=UTC).timestamp()
