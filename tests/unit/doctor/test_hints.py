"""Every failure of a step has its advice."""

from __future__ import annotations

from itertools import combinations

import pytest

from app import errors
from app.doctor.hints import HINTS, hint
from app.errors import GatewayError, RefreshFailed, RefreshTokenRejected, UpstreamError
from app.upstream.http import HostUnknown, TransportFailed


def every(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(below for each in kind.__subclasses__() for below in every(each))]


@pytest.mark.parametrize("kind", [*every(UpstreamError), *every(RefreshFailed)], ids=lambda kind: kind.__name__)
def test_whatever_kiro_or_a_refresh_ends_in_has_advice(kind: type[GatewayError]) -> None:
    error = kind("why", sent=True) if issubclass(kind, TransportFailed) else kind("why")
    assert hint(error, 7)


def test_no_advice_hides_behind_a_more_general_one() -> None:
    for (above, _), (below, _) in combinations(HINTS, 2):
        assert not issubclass(below, above)


def test_advice_names_the_credential() -> None:
    assert "--replace 7" in str(hint(RefreshTokenRejected("dead"), 7))
    assert all("{" not in str(hint(kind("why", sent=False), 7)) for kind in (TransportFailed, HostUnknown))


def test_what_nobody_knows_gets_none() -> None:
    assert hint(errors.StorageUnavailable(), 7) is None
