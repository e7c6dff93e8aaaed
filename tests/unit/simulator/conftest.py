"""One stand-in for all tests of it, and a caller with the headers of a real client."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]

from simulator.client import Simulator
from tests.unit.simulator.bodies import RUNTIME, Q

USER_AGENT = (
    "aws-sdk-js/1.0.34 ua/2.1 os/darwin#24.6.0 lang/js md/nodejs#22.22.0 api/codewhispererstreaming#1.0.34 m/E "
    "KiroIDE-0.12.155-abc"
)
CHAT_TARGET = "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The frames of a stream, decoded by botocore."""
        buffer = EventStreamBuffer()
        buffer.add_data(self.body)
        return [
            (event.headers.get(":event-type", event.headers[":message-type"]), json.loads(event.payload or b"{}"))
            for event in buffer
        ]

    @property
    def text(self) -> str:
        return "".join(payload["content"] for kind, payload in self.events if kind == "assistantResponseEvent")

    @property
    def refusal(self) -> tuple[int, str, str | None, str | None]:
        return self.status, self.json["message"], self.json["reason"], self.headers.get("x-amzn-errortype")


class Caller:
    """Calls the stand-in as one account."""

    def __init__(self, simulator: Simulator, account: dict[str, Any]) -> None:
        self.simulator = simulator
        self.account = account

    def headers(self, host: str = Q, **more: str | None) -> dict[str, str]:
        headers = {
            "host": host,
            "user-agent": USER_AGENT,
            "authorization": f"Bearer {self.account['access_token']}",
            "tokentype": "API_KEY" if self.account["kind"] == "api_key" else None,
            "x-amz-target": CHAT_TARGET if host == RUNTIME else None,
            **{name.replace("_", "-").lower(): value for name, value in more.items()},
        }
        return {name: value for name, value in headers.items() if value is not None}

    def call(self, method: str, path: str, body: bytes | None = None, *, host: str = Q, **headers: str | None) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.simulator.url).netloc, timeout=10)
        try:
            connection.request(method, path, body, self.headers(host, **headers))
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def chat(self, body: Any, *, padding: int = 0, host: str = Q, **headers: str | None) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() + b" " * padding
        return self.call("POST", "/generateAssistantResponse", content, host=host, **headers)

    def refresh(self, token: str) -> Answer:
        """Trade a refresh token at the service of the account's kind."""
        content: dict[str, Any] = {"refreshToken": token}
        host, path = "prod.us-east-1.auth.desktop.kiro.dev", "/refreshToken"
        if self.account["kind"] != "social":
            content |= {"clientId": self.account["client_id"], "clientSecret": self.account["client_secret"]}
            content |= {"grantType": "refresh_token"}
            host, path = "oidc.us-east-1.amazonaws.com", "/token"
        return self.call("POST", path, json.dumps(content).encode(), host=host)


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator.start() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    """The stand-in, with nothing left over from another test."""
    running.reset()
    return running


@pytest.fixture
def caller(simulator: Simulator) -> Caller:
    return Caller(simulator, simulator.add_account(kind="social"))
