"""CPU time and memory, judged on processes whose use is known."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.measure import cpu_seconds, percentile, pss_bytes, rotated, tree

SPIN = "import time\nwhile time.process_time() < {seconds}: pass\n"
# A parent that idles, with a child that spins and ends, and one that only lives on.
FAMILY = f"""
import subprocess, sys, time
quiet = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(quiet.pid, flush=True)
input()
subprocess.run([sys.executable, "-c", {SPIN.format(seconds=0.3)!r}])
print("spun", flush=True)
input()
block = b"x" * 40_000_000
print("grown", flush=True)
input()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield parent
    parent.kill()
    parent.communicate()  # the other child finds the end of its input


def say(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_a_tree_is_a_process_and_its_descendants(family: subprocess.Popen[str]) -> None:
    assert family.stdout
    child = int(family.stdout.readline())
    assert tree(family.pid) == [family.pid, child]
    assert family.pid in tree(os.getpid())


def test_a_child_that_spun_and_ended_counts(family: subprocess.Popen[str]) -> None:
    assert family.stdout
    family.stdout.readline()
    before = cpu_seconds(family.pid)
    assert say(family) == "spun"
    assert 0.29 < cpu_seconds(family.pid) - before < 0.6


def test_memory_counts_what_is_taken(family: subprocess.Popen[str]) -> None:
    assert family.stdout
    family.stdout.readline()
    say(family)
    before = pss_bytes(family.pid)
    assert say(family) == "grown"
    assert 38_000_000 < pss_bytes(family.pid) - before < 60_000_000


def test_a_process_that_is_gone_costs_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert cpu_seconds(gone.pid) == 0.0
    assert pss_bytes(gone.pid) == 0


@pytest.mark.parametrize(("percent", "expected"), [(1, 1.0), (50, 50.0), (99, 99.0), (99.5, 100.0), (100, 100.0)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == expected


def test_no_values_have_no_percentile() -> None:
    assert math.isnan(percentile([], 99))


def test_each_round_begins_with_another_one() -> None:
    assert [rotated("abc", by) for by in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert rotated([], 3) == []
