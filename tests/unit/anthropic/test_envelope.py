from __future__ import annotations

import orjson
import pytest

from app import errors
from app.anthropic.envelope import error_body, error_event, error_headers
from app.anthropic.sse import encode
from app.errors import AtCapacity, GatewayError, PromptTooLong, RequestRejected, Throttled

ID = "req_011CTzqkv7wDh3mPq2RtYxNb"


def _tree(cls: type[GatewayError]) -> list[type[GatewayError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _tree(child))]


def test_an_error_reads_as_the_real_api_s() -> None:
    assert error_body(RequestRejected("max_tokens: Field required"), ID) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "max_tokens: Field required"},
        "request_id": ID,
    }


def test_details_are_told() -> None:
    body = error_body(RequestRejected("thread: no", details={"error_code": "thread_unsupported_request"}), ID)
    assert body["error"]["details"] == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (RequestRejected(), {"x-should-retry": "false"}),
        (PromptTooLong(2, 1), {"x-should-retry": "false"}),
        (Throttled(retry_after_seconds=8), {"retry-after": "8"}),
        (Throttled(retry_after_seconds=-1), {"retry-after": "0"}),
        (Throttled(), {}),
        (AtCapacity(), {"retry-after": "2"}),
    ],
)
def test_headers_say_when_to_come_back(error: GatewayError, headers: dict[str, str]) -> None:
    assert error_headers(error) == headers


def test_a_retry_that_is_wanted_is_said() -> None:
    error = Throttled()
    error.should_retry = True
    assert error_headers(error) == {"x-should-retry": "true"}


@pytest.mark.parametrize("cls", [cls for cls in _tree(GatewayError) if cls.__module__ == errors.__name__])
def test_every_error_ends_a_stream(cls: type[GatewayError]) -> None:
    error = cls.__new__(cls)
    GatewayError.__init__(error, "half a pair: \ud83d")
    name, data = encode(error_event(error, ID)).decode().rstrip("\n").split("\n")
    assert name == "event: error"
    told = orjson.loads(data.removeprefix("data: "))
    assert told == error_body(error, ID)
    assert told["error"] == {"type": cls.error_type, "message": "half a pair: \ufffd"}
