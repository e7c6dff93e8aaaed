"""Why does this login not work: every step of a request tried by itself, with what to do about the one that fails.

`wire` notes the calls, `examination` takes the steps, `hints` says what helps, `bundle` writes it all down without a secret.
"""

from app.doctor.bundle import Bundle
from app.doctor.examination import CHAT_COSTS, Doctor
from app.doctor.step import FAILED, OK, SKIPPED, Seen, Step

__all__ = ["CHAT_COSTS", "FAILED", "OK", "SKIPPED", "Bundle", "Doctor", "Seen", "Step"]
