"""Any text is stored, on either database, and a secret that a failure quotes is not."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.ledger import Attempt, Ledger, RequestRecord
from app.storage import reading, transaction
from app.storage.tables import CredentialRow, LoginFlowRow
from config import Config

TOKEN = "aorAAAAAG-a-token-nobody-may-see"
ODD = "a\0b\ud800c é 😀"


def test_words_of_a_client_are_stored_whatever_they_are(either_database: Config) -> None:
    ledger = Ledger()
    attempt = Attempt(1, ODD, ODD, "ok", ODD, 1)
    ledger.record(RequestRecord(id="r", at=1.0, path="/", model_asked=ODD, session_id=ODD, attempts=[attempt], rules=[ODD]))
    assert ledger.flush(5)
    stored = ledger.get("r")
    assert stored is not None
    assert (stored.model_asked, stored.session_id) == ("ab?c é 😀", "ab?c é 😀")
    assert (stored.attempts, stored.rules) == ([attempt], [ODD]), "JSON spells such characters out"


@pytest.mark.parametrize("text", ["Kiro said {}", "\0{}"])
def test_a_secret_in_a_remark_is_masked(either_database: Config, text: str) -> None:
    said = text.format(f"refreshToken={TOKEN}")
    with transaction() as session:
        session.add(CredentialRow(kind="idc", state_reason=said, version=1, learned={}, created_at=0.0, updated_at=0.0))
        session.add(LoginFlowRow(id="f", method="idc", status="failed", problem=said, created_at=0.0, expires_at=0.0))
    with reading() as session:
        reasons = [session.scalar(select(CredentialRow.state_reason)), session.scalar(select(LoginFlowRow.problem))]
    assert reasons == [text.replace("\0", "").format("refreshToken=…")] * 2


def test_a_word_is_found_by_what_it_was_stored_as(either_database: Config) -> None:
    with transaction() as session:
        session.add(CredentialRow(kind="idc", label=ODD, version=1, learned={}, created_at=0.0, updated_at=0.0))
    with reading() as session:
        assert session.scalar(select(CredentialRow.id).where(CredentialRow.label == ODD)) == 1
