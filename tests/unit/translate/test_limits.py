from __future__ import annotations

import pytest

from app.errors import RequestRejected
from app.translate.limits import check_limits
from app.translate.models import BUILT_IN, resolve
from tests.unit.anthropic.bodies import parse


def test_more_output_than_the_model_has_is_refused_in_the_words_claude_code_parses() -> None:
    request = parse(max_tokens=128_000)
    with pytest.raises(RequestRejected) as refusal:
        check_limits(request, resolve(request.model, BUILT_IN))
    assert str(refusal.value) == (
        "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5"
    )


def test_as_much_as_the_model_has_passes() -> None:
    check_limits(parse(max_tokens=64_000), resolve("claude-sonnet-4-5", BUILT_IN))
