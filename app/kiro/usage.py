"""What getUsageLimits says of an account: its plan, what of it is used, and when it comes back.

In: the JSON of an answer, whatever it holds. Out: a `Usage`. Never raises: every field may be absent, null or of another type,
and then counts as not said. What was read is kept as JSON of our own (`as_json`, `restore`).
Base, a free trial and bonuses are parts that add up; only what is ACTIVE counts. `…WithPrecision` wins over the rounded number.
Source: protocol 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

BASE, TRIAL, BONUS = "base", "trial", "bonus"
ACTIVE = "ACTIVE"
ENABLED = "ENABLED"
CREDITS = "CREDIT"
# Greater numbers are milliseconds: as seconds this one is the year 5138.
LARGEST_SECONDS = 1e11
# Beyond it a number is a mistake, and sums would end in infinity.
LARGEST_NUMBER = 1e15


@dataclass(frozen=True, slots=True)
class Part:
    """One source of credits. kind: BASE, TRIAL or BONUS; expires_at: epoch seconds."""

    kind: str
    name: str
    used: float
    limit: float
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """An account's credits. reset_at: epoch seconds; None is what Kiro did not say.

    overage_status: ENABLED or DISABLED. overage_used: credits beyond the limit; overage_charges: what they cost so far.
    """

    parts: tuple[Part, ...] = ()
    reset_at: float | None = None
    plan_title: str | None = None
    plan_type: str | None = None
    email: str | None = None
    overage_status: str | None = None
    overage_capability: str | None = None
    overage_cap: float | None = None
    overage_used: float | None = None
    overage_rate: float | None = None
    overage_charges: float | None = None
    currency: str | None = None

    @property
    def used(self) -> float | None:
        """Of all parts together; None when Kiro named none."""
        return sum(part.used for part in self.parts) if self.parts else None

    @property
    def limit(self) -> float | None:
        """Of all parts together; None when Kiro named none."""
        return sum(part.limit for part in self.parts) if self.parts else None

    @property
    def remaining(self) -> float | None:
        """Credits left before overage."""
        return None if self.limit is None or self.used is None else max(self.limit - self.used, 0.0)

    @property
    def percent(self) -> float | None:
        """How much is used, at most 100; 0 of nothing."""
        if self.limit is None or self.used is None:
            return None
        return min(self.used / self.limit * 100, 100.0) if self.limit > 0 else 0.0

    @property
    def pays_overage(self) -> bool:
        """Whether the account goes on, for money, when its credits are used up."""
        return self.overage_status == ENABLED

    def as_json(self) -> dict[str, Any]:
        """For storing; `restore` reads it."""
        return {**asdict(self), "parts": [asdict(part) for part in self.parts]}


def parse_usage(answer: Any) -> Usage:
    """What an answer says."""
    whole = _mapping(answer)
    breakdown = _breakdown(whole)
    plan = _mapping(whole.get("subscriptionInfo"))
    return Usage(
        parts=tuple(_parts(breakdown)),
        reset_at=_instant(whole.get("nextDateReset")) or _instant(breakdown.get("nextDateReset")),
        plan_title=_text(plan.get("subscriptionTitle")),
        plan_type=_text(plan.get("type")),
        email=_text(_mapping(whole.get("userInfo")).get("email")),
        overage_status=_text(_mapping(whole.get("overageConfiguration")).get("overageStatus")),
        overage_capability=_text(plan.get("overageCapability")),
        overage_cap=_amount(breakdown, "overageCap"),
        overage_used=_amount(breakdown, "currentOverages"),
        overage_rate=_number(breakdown.get("overageRate")),
        overage_charges=_number(breakdown.get("overageCharges")),
        currency=_text(breakdown.get("currency")),
    )


def restore(stored: Mapping[str, Any] | None) -> Usage | None:
    """What `as_json` stored; fields of another version are left out."""
    if stored is None:
        return None
    known = {item.name for item in fields(Usage)} - {"parts"}
    parts = tuple(
        Part(
            kind=_text(each.get("kind")) or BASE,
            name=_text(each.get("name")) or "",
            used=_number(each.get("used")) or 0.0,
            limit=_number(each.get("limit")) or 0.0,
            expires_at=_number(each.get("expires_at")),
        )
        for each in map(_mapping, _list(stored.get("parts")))
    )
    return Usage(parts=parts, **{name: value for name, value in stored.items() if name in known})


def _breakdown(whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource that chats are paid with: credits where there are any, else the first. Older answers have a single one."""
    named = [*_list(whole.get("usageBreakdownList")), *_list(whole.get("usageBreakdown")), whole.get("usageBreakdown")]
    found = [each for each in named if isinstance(each, Mapping) and each]
    return next((each for each in found if each.get("resourceType") == CREDITS), found[0] if found else {})


def _parts(breakdown: Mapping[str, Any]) -> Iterator[Part]:
    name = _text(breakdown.get("displayNamePlural")) or _text(breakdown.get("displayName"))
    yield from _part(BASE, name or _text(breakdown.get("resourceType")) or "Plan", breakdown, None)
    trial = _mapping(breakdown.get("freeTrialInfo"))
    if trial.get("freeTrialStatus") == ACTIVE:
        yield from _part(TRIAL, "Free trial", trial, trial.get("freeTrialExpiry"))
    for bonus in map(_mapping, _list(breakdown.get("bonuses"))):
        if bonus.get("status") == ACTIVE:
            named = _text(bonus.get("displayName")) or _text(bonus.get("bonusCode"))
            yield from _part(BONUS, named or "Bonus", bonus, bonus.get("expiresAt"))


def _part(kind: str, name: str, amounts: Mapping[str, Any], expires_at: Any) -> Iterator[Part]:
    """The part, unless neither of its numbers is there."""
    used, limit = _amount(amounts, "currentUsage"), _amount(amounts, "usageLimit")
    if used is not None or limit is not None:
        yield Part(kind, name, used or 0.0, limit or 0.0, _instant(expires_at))


def _amount(amounts: Mapping[str, Any], name: str) -> float | None:
    exact = _number(amounts.get(f"{name}WithPrecision"))
    return _number(amounts.get(name)) if exact is None else exact


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST_NUMBER < value < LARGEST_NUMBER else None


def _instant(value: Any) -> float | None:
    """Epoch seconds; 0 and less is no date."""
    number = _number(value)
    if number is None or number <= 0:
        return None
    return number / 1000 if number > LARGEST_SECONDS else number


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
