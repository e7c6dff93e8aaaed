"""Test bodies that run where the gateway runs: in a process whose sockets are gevent's.

The test process itself cannot be patched any more once `ssl` is imported. `@patched` sends the body of a test to one child that
is patched from its first line and lives as long as the test process; what fails there fails here, with the child's traceback.
Arguments travel by pickle: parameters only, no fixtures.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
TEST_SECONDS = 30.0
_child: subprocess.Popen[bytes] | None = None


def patched(test: Callable[..., None]) -> Callable[..., None]:
    """Run this test's body in the child."""

    @functools.wraps(test)
    def ask(**arguments: Any) -> None:
        child = _running()
        assert child.stdin is not None
        assert child.stdout is not None
        pickle.dump((test.__module__, test.__name__, arguments), child.stdin)
        child.stdin.flush()
        failure = pickle.load(child.stdout)
        assert failure is None, failure

    return ask


def _running() -> subprocess.Popen[bytes]:
    global _child
    if _child is None or _child.poll() is not None:
        command = [sys.executable, "-m", __name__]
        _child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(_child.kill)
    return _child


def _serve() -> None:
    """The child: bodies in, None or a traceback out."""
    import traceback

    import gevent

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a test prints must not get between the answers
    while True:
        try:
            module, name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            with gevent.Timeout(TEST_SECONDS):
                getattr(importlib.import_module(module), name).__wrapped__(**arguments)
            failure = None
        except BaseException:  # noqa: BLE001 - pytest's own outcomes too
            failure = traceback.format_exc()
        pickle.dump(failure, answers)
        answers.flush()


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    _serve()
