"""Everything the stand-in remembers between two calls."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.accounts import Accounts
from simulator.options import Options
from simulator.recording import Recording
from simulator.script import Script
from simulator.sign_ins import SignIns

KEPT_SIGNATURES = 10_000


@dataclass(slots=True)
class State:
    """first_options: what a reset goes back to. clock: epoch seconds."""

    options: Options
    first_options: Options
    clock: Callable[[], float] = time.time
    accounts: Accounts = field(default_factory=Accounts)
    sign_ins: SignIns = field(default_factory=SignIns)
    script: Script = field(default_factory=Script)
    recording: Recording = field(default_factory=Recording)
    # Of the thinking that was answered: account, model, signature.
    signatures: deque[tuple[str, str, str]] = field(default_factory=lambda: deque(maxlen=KEPT_SIGNATURES))
