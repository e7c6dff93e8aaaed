"""Pieces written around the server: it happens under gunicorn, and the client cannot tell but by the spelling of a number.

The server writes the size of a chunk in capitals, the direct writer in small letters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, running_gateway
from tests.integration.wire import Answer, Client, body

# Each word of it is an event of its own; some of the sizes hold a letter.
TEXT = " ".join("x" * (number % 40) for number in range(1, 120))


@pytest.fixture(scope="module")
def plain(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with started(simulator, tmp_path_factory.mktemp("plain"), "off") as running:
        yield running


@pytest.fixture(scope="module")
def fast(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with started(simulator, tmp_path_factory.mktemp("fast"), "on") as running:
        yield running


def started(simulator: Simulator, folder: Path, fast_path: str) -> AbstractContextManager[Gateway]:
    """A gateway with a login of its own: its token rotates."""
    login = folder / "credentials.json"
    login.write_text(
        json.dumps({"refreshToken": simulator.add_account(kind="social")["refresh_token"], "authMethod": "social"})
    )
    return running_gateway(folder, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(login), FAST_PATH=fast_path)


def raw(gateway: Gateway) -> bytes:
    """A streamed answer as it came over the wire."""
    with Client(gateway.url) as client:
        client.post(body(stream=True))
        client.answer()
        return client.received


def sizes(wire: bytes) -> list[bytes]:
    """The size of each chunk but the last, empty one, as it was written."""
    _, _, rest = wire.partition(b"\r\n\r\n")
    found = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            break
        found.append(size)
        rest = rest[int(size, 16) + 2 :]
    return found


def said(answer: Answer) -> list[str]:
    """The stream without what differs from request to request."""
    return [re.sub(r"(msg|req)_\w+|'signature': '[^']*'", "…", str(event)) for event in answer.events]


def test_pieces_go_around_the_server(simulator: Simulator, fast: Gateway) -> None:
    simulator.script([{"text": TEXT, "delay_between": 0.001}])
    written = sizes(raw(fast))
    assert len(written) > 5
    assert b"".join(written[1:-1]) != b"".join(written[1:-1]).upper(), "none was written in small letters"
    assert "cannot be taken over" not in fast.log


def test_switched_off_the_server_writes(simulator: Simulator, plain: Gateway) -> None:
    simulator.script([{"text": TEXT, "delay_between": 0.001}])
    written = sizes(raw(plain))
    assert len(written) > 5
    assert b"".join(written) == b"".join(written).upper()


@pytest.mark.parametrize(
    "step",
    [
        {"text": TEXT},
        {"text": "one two three four five six", "cut_after_frames": 3},
        {"text": "one two three four five six", "corrupt": {"kind": "message_crc", "at_frame": 2}},
        {"events": [["reasoningContentEvent", {"text": "hm"}], ["assistantResponseEvent", {"content": "ä€🙂"}]]},
    ],
    ids=["whole", "cut", "corrupt", "thinking"],
)
def test_both_ways_say_the_same(simulator: Simulator, fast: Gateway, plain: Gateway, step: dict[str, object]) -> None:
    answers = []
    for gateway in (fast, plain):
        simulator.reset()
        simulator.script([step])
        with Client(gateway.url) as client:
            client.post(body(stream=True, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000))
            answers.append(client.answer())
    first, second = answers
    assert (first.status, first.ended_properly) == (second.status, second.ended_properly)
    assert said(first) == said(second)
