"""Medians, multiples and verdicts."""

from __future__ import annotations

import math

import pytest

from bench.figures import FIGURES, Figure, Limit
from bench.table import median_of, render, rows, verdict
from bench.targets import Target, parse_target

FLOOR = Target("floor", "floor", ("127.0.0.1", 1), 1)
OURS = Target("ours", "plain", ("127.0.0.1", 2), 2)
THEIRS = Target("theirs", "other", ("127.0.0.1", 3), 3)
LOOKS = {
    "batch": {"floor": [0.4, 0.6, 0.5], "ours": [9.0, 5.0, 100.0], "theirs": [20.0]},
    "tool": {"ours": [11.0]},
}


def figure(name: str, limit: Limit | None) -> Figure:
    return Figure(name, "µs", lambda _lab, _target: 0.0, {"plain": limit} if limit else {})


def test_the_median_is_not_moved_by_one_bad_look() -> None:
    assert median_of(LOOKS, "batch", "ours") == 9.0
    assert math.isnan(median_of(LOOKS, "batch", "nobody"))


@pytest.mark.parametrize(
    ("name", "limit", "expected"),
    [
        ("batch", Limit(18), "met"),
        ("batch", Limit(17.9), "missed"),
        ("batch", Limit(9, ""), "met"),
        ("batch", Limit(8.9, ""), "missed"),
        ("tool", Limit(1.3, "batch"), "met"),
        ("tool", Limit(1.2, "batch"), "missed"),
        ("tool", Limit(18), ""),  # no floor was taken
        ("batch", None, ""),
    ],
)
def test_a_verdict_is_in_the_terms_of_its_limit(name: str, limit: Limit | None, expected: str) -> None:
    assert verdict(LOOKS, figure(name, limit), OURS, "floor") == expected


def test_a_limit_is_for_its_own_kind_of_target() -> None:
    assert verdict(LOOKS, figure("batch", Limit(1)), THEIRS, "floor") == ""


def test_without_a_floor_absolute_limits_still_count() -> None:
    assert verdict(LOOKS, figure("batch", Limit(18)), OURS, None) == ""
    assert verdict(LOOKS, figure("batch", Limit(10, "")), OURS, None) == "met"


def test_the_table_shows_value_multiple_limit_and_verdict() -> None:
    figures = [figure("batch", Limit(18)), figure("tool", Limit(1.2, "batch")), figure("never asked", None)]
    found = rows(LOOKS, figures, [FLOOR, OURS, THEIRS])
    assert [(row["figure"], row["target"]) for row in found] == [
        ("batch", "floor"),
        ("batch", "ours"),
        ("batch", "theirs"),
        ("tool", "ours"),
    ]
    assert found[1]["times_floor"] == 18.0
    assert found[3]["times_floor"] is None
    lines = render(found).splitlines()
    assert lines[2].split() == ["batch", "ours", "9", "µs", "18", "≤", "18", "×", "floor", "18", "met"]
    assert lines[4].split() == ["tool", "ours", "11", "µs", "≤", "1.2", "×", "batch", "1.22", "missed"]


def test_limits_refer_to_figures_that_are_there() -> None:
    names = {each.name for each in FIGURES} | {"", "floor"}
    assert len(names) == len(FIGURES) + 2
    assert {limit.of for each in FIGURES for limit in each.limits.values()} <= names


def test_another_gateway_is_told_by_name_address_process_and_key() -> None:
    assert parse_target("kirogo=http://127.0.0.1:9000/,77,sk-a=,b") == Target(
        "kirogo", "other", ("127.0.0.1", 9000), 77, "sk-a=,b"
    )
    with pytest.raises(ValueError):
        parse_target("kirogo=http://127.0.0.1:9000")
