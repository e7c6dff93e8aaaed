"""From looks to a table: medians, multiples of the floor, and what is met.

In: looks by figure and target. Out: text for people, and the same as JSON. Pure.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.figures import Figure, Limit
from bench.targets import Target

Looks = Mapping[str, Mapping[str, Sequence[float]]]  # by figure and by name of target


def median_of(looks: Looks, figure: str, target: str) -> float:
    """The middle look; NaN when there is none."""
    values = looks.get(figure, {}).get(target, ())
    return statistics.median(values) if values else math.nan


def multiple(looks: Looks, figure: str, target: Target, limit: Limit, floor: str | None) -> float:
    """A target's value in the limit's terms; NaN when what it is compared with was not taken."""
    value = median_of(looks, figure, target.name)
    if limit.of == "floor":
        return value / median_of(looks, figure, floor) if floor else math.nan
    return value / median_of(looks, limit.of, target.name) if limit.of else value


def verdict(looks: Looks, figure: Figure, target: Target, floor: str | None) -> str:
    """`met` or `missed`; "" when there is no limit, or nothing to hold against it."""
    limit = figure.limits.get(target.kind)
    value = math.nan if limit is None else multiple(looks, figure.name, target, limit, floor)
    if limit is None or math.isnan(value):
        return ""
    return "met" if value <= limit.most else "missed"


def rows(looks: Looks, figures: Sequence[Figure], targets: Sequence[Target]) -> list[dict[str, Any]]:
    """One row per figure and target that was looked at."""
    floor = next((target.name for target in targets if target.kind == "floor"), None)
    found = []
    for figure in figures:
        for target in targets:
            value = median_of(looks, figure.name, target.name)
            if math.isnan(value):
                continue
            limit = figure.limits.get(target.kind)
            ratio = math.nan if floor is None else value / median_of(looks, figure.name, floor)
            found.append(
                {
                    "figure": figure.name,
                    "target": target.name,
                    "unit": figure.unit,
                    "median": value,
                    "looks": list(looks[figure.name][target.name]),
                    "times_floor": None if math.isnan(ratio) else ratio,
                    "limit": None if limit is None else str(limit),
                    "in_terms_of_limit": _or_none(multiple(looks, figure.name, target, limit, floor)) if limit else None,
                    "verdict": verdict(looks, figure, target, floor),
                }
            )
    return found


def render(found: Sequence[Mapping[str, Any]]) -> str:
    """The rows in columns."""
    lines = [("FIGURE", "TARGET", "VALUE", "UNIT", "× FLOOR", "LIMIT", "IS", "")]
    lines += [
        (
            row["figure"],
            row["target"],
            _number(row["median"]),
            row["unit"],
            _number(row["times_floor"]),
            row["limit"] or "",
            _number(row["in_terms_of_limit"]),
            row["verdict"],
        )
        for row in found
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    right = {2, 4, 6}
    return "\n".join(
        "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column]) for column, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def _number(value: float | None) -> str:
    """Three digits are all that a shared machine can tell."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _or_none(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
