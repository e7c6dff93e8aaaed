from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic.ids import message_id, request_id, server_tool_use_id, tool_use_id


@pytest.mark.parametrize(
    ("make", "prefix"), [(message_id, "msg"), (request_id, "req"), (tool_use_id, "toolu"), (server_tool_use_id, "srvtoolu")]
)
@given(random=st.binary(max_size=32))
def test_an_id_is_a_prefix_and_24_base_58_characters(make: Callable[[bytes], str], prefix: str, random: bytes) -> None:
    assert re.fullmatch(prefix + "_[1-9A-HJ-NP-Za-km-z]{24}", make(random))


@given(st.sets(st.binary(min_size=16, max_size=16), min_size=2))
def test_different_bytes_give_different_ids(randoms: set[bytes]) -> None:
    assert len({message_id(random) for random in randoms}) == len(randoms)
