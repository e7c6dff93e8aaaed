"""`python -m bench.compare`: every figure of every target, interleaved round by round; a table and a JSON file.

--quick                    one small round of the short figures: a smoke, not a measurement
--only NAME                figures whose name begins so; may be repeated
--rounds N                 looks per figure and target, the median counts
--target NAME=URL,PID,KEY  another gateway that runs already, with this bench's upstream behind it (--upstream-port)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import targets
from bench.figures import FIGURES, Figure, Lab
from bench.measure import rotated
from bench.order import Order
from bench.table import render, rows
from bench.targets import Target, parse_target

RESULTS = Path(__file__).parent / "results"
ROUNDS = 5
SLOW_ROUNDS = 2
WARM_UP_REQUESTS = 50

Looks = dict[str, dict[str, list[float]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when an answer was not what had been ordered."""
    options = _parse(arguments)
    figures = [each for each in FIGURES if _wanted(each, options.only, quick=options.quick)]
    if not figures:
        print(f"no such figure; there are: {', '.join(each.name for each in FIGURES)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _laboratory(Path(folder), figures, options) as (lab, standing):
        looks = take_all(lab, figures, standing, rounds=1 if options.quick else options.rounds)
    found = rows(looks, figures, standing)
    print(render(found))
    for complaint in lab.complaints:
        print(f"NOT AS ORDERED: {complaint}")
    _save(found, lab.complaints, options)
    return 1 if lab.complaints else 0


def take_all(lab: Lab, figures: Sequence[Figure], standing: Sequence[Target], *, rounds: int) -> Looks:
    """Looks by figure and target; in each round another target begins."""
    looks: Looks = {}
    for target in standing:
        lab.ask(target, Order(), times=WARM_UP_REQUESTS, at_once=4)
    for figure in figures:
        asked = [target for target in standing if target.kind in figure.kinds]
        for number in range(min(rounds, SLOW_ROUNDS) if figure.slow else rounds):
            for target in rotated(asked, number):
                print(f"  {figure.name}, round {number + 1}, {target.name} …", file=sys.stderr)
                looks.setdefault(figure.name, {}).setdefault(target.name, []).append(figure.take(lab, target))
    return looks


@contextlib.contextmanager
def _laboratory(folder: Path, figures: Sequence[Figure], options: argparse.Namespace) -> Iterator[tuple[Lab, list[Target]]]:
    """Upstreams and targets, running."""
    kinds = {kind for figure in figures for kind in figure.kinds}
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(targets.upstream(folder, port=options.upstream_port))
        tls = stack.enter_context(targets.upstream(folder, tls=True)) if "tls" in kinds else None
        standing = [stack.enter_context(targets.gateway(folder / "plain", plain))]
        if tls is not None:
            standing.append(stack.enter_context(targets.gateway(folder / "tls", tls)))
        floor = stack.enter_context(targets.floor(folder / "floor", plain))
        if floor is None:
            print(f"No floor: {targets.NGINX} is not installed (Debian: apt install nginx-light).")
        else:
            standing.insert(0, floor)
        yield Lab(folder, plain, tls, options.quick), standing + options.target


def _wanted(figure: Figure, only: Sequence[str], *, quick: bool) -> bool:
    return any(figure.name.startswith(name) for name in only) if only else figure.in_quick or not quick


def _save(found: list[dict[str, Any]], complaints: list[str], options: argparse.Namespace) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = options.json or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()}
    content = {"quick": options.quick, "machine": machine, "load": os.getloadavg(), "complaints": complaints, "rows": found}
    path.write_text(json.dumps(content, indent=1))
    print(f"written to {path}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="What a unit of work costs, in multiples of relaying bytes.")
    parser.add_argument("--quick", action="store_true", help="one small round of the short figures")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="figures whose name begins so")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="looks per figure and target [%(default)s]")
    parser.add_argument("--target", action="append", default=[], type=parse_target, metavar="NAME=URL,PID,KEY")
    parser.add_argument("--upstream-port", type=int, metavar="PORT", help="where the bench's upstream listens [any free port]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go [bench/results/TIME.json]")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is stopped as well
    sys.exit(main())
