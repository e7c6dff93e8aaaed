"""Sign-ins under way: registered clients, device codes that wait for a person, and codes that a browser carries back.

In: what the services were asked. Out: records that say whether a secret, code or verifier is right. Time is an argument.
Knows nothing of HTTP or of accounts beyond their ids.
Source: protocol 1.9, 1.10; RFC 8628 (3.5: who asks too soon waits 5 s longer from then on), RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

REGISTRATION_SECONDS = 90 * 86_400
BROWSER_CODE_SECONDS = 300.0
SLOW_DOWN_SECONDS = 5
USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
DECISIONS = ("approve", "deny", "expire")


@dataclass(frozen=True, slots=True)
class Registration:
    """A client of OIDC in one region. grants: what it may use."""

    client_id: str
    client_secret: str
    region: str
    grants: tuple[str, ...]
    issued_at: float

    @property
    def expires_at(self) -> float:
        return self.issued_at + REGISTRATION_SECONDS


@dataclass(slots=True)
class Device:
    """A device code. account: id of whom the person signed in as, "" for a new one. asked_at: when it was asked about last."""

    device_code: str
    user_code: str
    registration: Registration
    start_url: str
    interval: int
    expires_at: float
    approved_after: int
    decision: str = ""
    account: str = ""
    asked_at: float | None = None
    pending: int = 0

    def decide(self, decision: str, account: str) -> None:
        """What the person did; raises ValueError for a decision that is none, or a second one."""
        if decision not in DECISIONS:
            raise ValueError(f"a decision is one of {', '.join(DECISIONS)}")
        if self.decision:
            raise ValueError(f"{self.user_code} is decided already")
        self.decision, self.account = decision, account

    def ask(self, now: float) -> str:
        """ "approve", or the error that the answer names. An approved code serves once."""
        asked_at, self.asked_at = self.asked_at, now
        if self.decision == "expire" or now >= self.expires_at:
            return "expired_token"
        if self.decision == "used":
            return "invalid_grant"
        if asked_at is not None and now < asked_at + 0.9 * self.interval:
            self.interval += SLOW_DOWN_SECONDS
            return "slow_down"
        if self.decision == "deny":
            return "access_denied"
        if self.decision == "" and 0 <= self.approved_after <= self.pending:
            self.decision = "approve"
        if self.decision == "approve":
            self.decision = "used"
            return "approve"
        self.pending += 1
        return "authorization_pending"


@dataclass(frozen=True, slots=True)
class BrowserCode:
    """What a browser carries back: good once, for the address it was given to and the verifier its challenge was made from."""

    account: str
    redirect_uri: str
    challenge: str
    expires_at: float

    def fits(self, *, redirect_uri: str, verifier: str, now: float) -> bool:
        """Whether it is traded by whom it was made for."""
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return now < self.expires_at and redirect_uri == self.redirect_uri and challenge == self.challenge


class SignIns:
    """All sign-ins of this stand-in."""

    def __init__(self) -> None:
        self._registrations: dict[str, Registration] = {}
        self._devices: dict[str, Device] = {}
        self._codes: dict[str, BrowserCode] = {}

    def register(self, region: str, grants: tuple[str, ...], *, now: float) -> Registration:
        """A new client."""
        client_id, secret = f"cid-{secrets.token_urlsafe(16)}", f"csec-{secrets.token_urlsafe(64)}"
        registration = Registration(client_id, secret, region, grants, now)
        self._registrations[client_id] = registration
        return registration

    def registration(self, client_id: str, client_secret: str, region: str, *, now: float) -> Registration | None:
        """The client, when its secret and region are right and it is not too old."""
        found = self._registrations.get(client_id)
        if found is None or (found.client_secret, found.region) != (client_secret, region) or now >= found.expires_at:
            return None
        return found

    def authorize(
        self, registration: Registration, start_url: str, *, interval: int, expires_at: float, approved_after: int
    ) -> Device:
        """A new device code."""
        letters = [secrets.choice(USER_CODE_LETTERS) for _ in range(8)]
        user_code = f"{''.join(letters[:4])}-{''.join(letters[4:])}"
        code = secrets.token_urlsafe(64)
        device = Device(code, user_code, registration, start_url, interval, expires_at, approved_after)
        self._devices[code] = device
        return device

    def by_device_code(self, code: str, registration: Registration) -> Device | None:
        """The sign-in of a device code, for the client that began it."""
        device = self._devices.get(code)
        return device if device is not None and device.registration == registration else None

    def device(self, user_code: str | None) -> Device:
        """The sign-in a person sees under this code, or the newest one; raises ValueError when there is none."""
        found = [device for device in self._devices.values() if user_code in (None, device.user_code)]
        if not found:
            raise ValueError(f"no device code {user_code or ''} waits")
        return found[-1]

    def add_code(self, code: BrowserCode) -> str:
        """Keep what a browser will carry back; the code itself."""
        text = secrets.token_urlsafe(32)
        self._codes[text] = code
        return text

    def use_code(self, text: str) -> BrowserCode | None:
        """What a code stands for; whatever comes of it, it is used now."""
        return self._codes.pop(text, None)
