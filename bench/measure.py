"""CPU time and memory of a process with everything it started, and the middle of several looks.

In: a process id. Out: seconds, bytes. Linux only: read from /proc, because its scheduler counts nanoseconds where `times()`
counts hundredths of a second.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TICKS = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError)


def tree(pid: int) -> list[int]:
    """A process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(*_GONE):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of the tree so far, with that of children that have ended (and were waited for)."""
    return sum(_cpu_seconds(each) for each in tree(pid))


def pss_bytes(pid: int) -> int:
    """Memory of the tree; what processes share is counted in shares."""
    return sum(_pss_bytes(each) for each in tree(pid))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]


def rotated(values: Sequence[T], by: int) -> list[T]:
    """The same values, another one first: in each round somebody else begins."""
    at = by % len(values) if values else 0
    return [*values[at:], *values[:at]]


def _cpu_seconds(pid: int) -> float:
    seconds = 0.0
    with contextlib.suppress(*_GONE):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(*_GONE):
                seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
        user, system = _stat(pid)[13:15]
        seconds += (int(user) + int(system)) / _TICKS
    return seconds


def _pss_bytes(pid: int) -> int:
    with contextlib.suppress(*_GONE):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat behind the name: 0 state, 1 parent, …, 13 and 14 the time of children that have ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
