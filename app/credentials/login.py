"""Sign-ins under way: begun by one worker or command, gone on with by any, on any machine, until a login is stored.

In: what a person wants, and later the address their browser landed on. Out: a `LoginFlow` that says what to show them, how it
stands, and at the end which credential it became.

A device code is asked about by whoever calls `step`, but by one at a time and no sooner than the interval: the row holds a
lease and the time of the next question (see `login_flow`). No call is made inside a transaction.
Source: protocol 1.9, 1.10.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.credentials import login_flow
from app.credentials.credential import Login, check
from app.credentials.login_flow import LoginFlow, Status, Turn
from app.credentials.refresh import Sender
from app.credentials.store import CredentialStore, DuplicateCredential
from app.errors import GatewayError
from app.kiro import sign_in
from app.kiro.endpoints import DEFAULT_REGION, ClientIdentity, HttpCall
from app.kiro.oauth import Grant
from app.kiro.sign_in import BUILDER_ID_START_URL, LANDINGS, PROVIDERS, DeviceCode, Pending, Registration, SignInFailed
from app.storage import db_now, reading, transaction
from app.upstream.http import HttpAnswer, TransportFailed

METHODS = ("builder_id", "idc", "social")
ASK_SECONDS = 30.0
SOCIAL_SECONDS = 900.0
STORE_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Wishes:
    """What a person wants to sign in to.

    start_url, region: of an Identity Center. provider, landing: names of `sign_in.PROVIDERS` and `sign_in.LANDINGS`.
    replaces: the credential that gets the new tokens.
    """

    method: str
    start_url: str | None = None
    region: str | None = None
    provider: str = "google"
    landing: str = "localhost"
    label: str | None = None
    proxy_url: str | None = None
    replaces: int | None = None

    def __repr__(self) -> str:
        return f"<Wishes {self.method}>"


class LoginFlows:
    """All sign-ins. clock: epoch seconds, for the life of tokens; chance: random bytes."""

    def __init__(
        self,
        store: CredentialStore,
        *,
        http: Sender,
        identity: Callable[[], ClientIdentity],
        clock: Callable[[], float] = time.time,
        chance: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._http = http
        self._identity = identity
        self._clock = clock
        self._chance = chance

    # -- what a door calls --

    def start(self, wishes: Wishes) -> LoginFlow:
        """Begin a sign-in. Raises SignInFailed or InvalidLogin before anything is sent, or SignInFailed with AWS's words."""
        self._check(wishes)
        return self._start_social(wishes) if wishes.method == "social" else self._start_device(wishes)

    def get(self, id_: str) -> LoginFlow:
        """How a sign-in stands; asks nobody. Raises NotFound."""
        with reading() as session:
            return login_flow.as_seen(login_flow.find_row(session, id_, lock=False), db_now(session))

    def step(self, id_: str) -> LoginFlow:
        """Ask about the device code if it is time and nobody else does, and say how the sign-in stands. Raises NotFound."""
        flow = self.get(id_)
        if flow.status not in (Status.WAITING, Status.EXPIRED) or flow.ask_in_seconds > 0:
            return flow
        with transaction() as session:
            row, now = login_flow.find_row(session, id_), db_now(session)
            turn = login_flow.take(row, now) if login_flow.is_due(row, now) else None
        if turn is not None:
            self._ask(turn)
        return self.get(id_)

    def complete(self, id_: str, pasted: str) -> LoginFlow:
        """Finish a social sign-in with the address the browser landed on.

        Raises NotFound, or SignInFailed when the address is not the right one: the sign-in goes on waiting for it.
        """
        with transaction() as session:
            row, now = login_flow.find_row(session, id_), db_now(session)
            turn = None
            if login_flow.waits(row, now):
                if row.method != "social":
                    raise SignInFailed("This sign-in needs no address: enter its code on the page that is shown")
                if (row.lease_until or 0.0) > now:
                    raise SignInFailed("This sign-in is being finished already: look again in a moment")
                turn = login_flow.take(row, now)
                code = sign_in.read_landing(pasted, turn.secret["state"]) if turn else ""
        if turn is not None:
            self._exchange(turn, code)
        return self.get(id_)

    def cancel(self, id_: str) -> LoginFlow:
        """Give a sign-in up; one that is over stays as it is. Raises NotFound."""
        with transaction() as session:
            row, now = login_flow.find_row(session, id_), db_now(session)
            if login_flow.waits(row, now):
                login_flow.end(row, Status.CANCELLED)
            return login_flow.as_seen(row, now)

    # -- beginning --

    def _check(self, wishes: Wishes) -> None:
        if wishes.method not in METHODS:
            raise SignInFailed(f"{wishes.method!r} is no way to sign in; there are {', '.join(METHODS)}")
        if wishes.provider not in PROVIDERS or wishes.landing not in LANDINGS:
            raise SignInFailed(f"The provider is one of {', '.join(PROVIDERS)}, the landing one of {', '.join(LANDINGS)}")
        if wishes.method == "idc" and not (wishes.start_url and wishes.region):
            raise SignInFailed("An Identity Center sign-in needs its start URL and its region")
        check(Login(kind="api_key", access_token="unused", proxy_url=wishes.proxy_url))  # noqa: S106 - only the proxy matters
        if wishes.replaces is not None and self._store.get(wishes.replaces) is None:
            raise SignInFailed(f"There is no credential {wishes.replaces}; list them with `flask --app wsgi credentials list`")

    def _start_device(self, wishes: Wishes) -> LoginFlow:
        builder_id = wishes.method == "builder_id"
        region = DEFAULT_REGION if builder_id else sign_in.checked_region(wishes.region or "")
        start_url = BUILDER_ID_START_URL if builder_id else sign_in.checked_start_url(wishes.start_url or "")
        device, registration = self._device_code(region, start_url, wishes)
        options = {
            **_common(wishes),
            "region": region,
            "start_url": None if builder_id else start_url,
            "provider": "BuilderId" if builder_id else "Enterprise",
            "interval": device.interval_seconds,
        }
        secret = {
            "device_code": device.device_code,
            "client_id": registration.client_id,
            "client_secret": registration.client_secret,
            "client_secret_expires_at": registration.expires_at,
            "proxy_url": wishes.proxy_url,
        }
        shown = {"user_code": device.user_code, "verification_url": device.verification_url}
        return login_flow.insert(wishes.method, shown, options, secret, device.expires_in_seconds)

    def _device_code(self, region: str, start_url: str, wishes: Wishes) -> tuple[DeviceCode, Registration]:
        identity = self._identity()
        call = sign_in.register_call(region=region, start_url=start_url, identity=identity, invocation_id=str(uuid.uuid4()))
        answer = self._begin(call, wishes)
        registration = sign_in.read_registration(answer.status, answer.body)
        call = sign_in.device_authorization_call(
            region=region,
            start_url=start_url,
            registration=registration,
            identity=identity,
            invocation_id=str(uuid.uuid4()),
        )
        answer = self._begin(call, wishes)
        return sign_in.read_device_code(answer.status, answer.body, registration), registration

    def _start_social(self, wishes: Wishes) -> LoginFlow:
        verifier = sign_in.secret_text(self._chance(sign_in.VERIFIER_BYTES))
        state = sign_in.secret_text(self._chance(sign_in.STATE_BYTES))
        url = sign_in.login_url(provider=wishes.provider, landing=wishes.landing, verifier=verifier, state=state)
        options = {
            **_common(wishes),
            "region": DEFAULT_REGION,
            "provider": PROVIDERS[wishes.provider],
            "landing": wishes.landing,
        }
        secret = {"verifier": verifier, "state": state, "proxy_url": wishes.proxy_url}
        return login_flow.insert(wishes.method, {"authorise_url": url}, options, secret, SOCIAL_SECONDS)

    def _begin(self, call: HttpCall, wishes: Wishes) -> HttpAnswer:
        try:
            return self._http.send(call, proxy_url=wishes.proxy_url, timeout_seconds=ASK_SECONDS)
        except TransportFailed as error:
            raise SignInFailed(f"{error.message}: check the region and the way to the internet, then begin again") from error

    # -- going on --

    def _ask(self, turn: Turn) -> None:
        registration, asked_at = turn.registration, self._clock()
        call = sign_in.device_token_call(
            region=turn.options["region"],
            device_code=turn.secret["device_code"],
            registration=registration,
            identity=self._identity(),
            invocation_id=str(uuid.uuid4()),
        )
        secrets = (registration.client_secret, turn.secret["device_code"])
        try:
            answer = self._http.send(call, proxy_url=turn.secret["proxy_url"], timeout_seconds=ASK_SECONDS)
            outcome = sign_in.read_device_answer(answer.status, answer.body, secrets)
        except TransportFailed:
            outcome = Pending(slower=False)
        except SignInFailed as error:
            self._over(turn, Status.FAILED, problem=error.message)
            return
        if isinstance(outcome, Pending):
            self._wait(turn, outcome)
            return
        self._keep(turn, self._login("idc", outcome, turn, asked_at))

    def _exchange(self, turn: Turn, code: str) -> None:
        asked_at = self._clock()
        call = sign_in.exchange_call(
            code=code, verifier=turn.secret["verifier"], landing=turn.options["landing"], identity=self._identity()
        )
        try:
            answer = self._http.send(call, proxy_url=turn.secret["proxy_url"], timeout_seconds=ASK_SECONDS)
            grant = sign_in.read_exchange(answer.status, answer.body, (code, turn.secret["verifier"]))
        except TransportFailed as error:
            self._wait(turn, Pending(slower=False))
            raise SignInFailed(f"{error.message}: paste the address again in a moment") from error
        except SignInFailed as error:
            self._over(turn, Status.FAILED, problem=error.message)
            return
        self._keep(turn, self._login("social", grant, turn, asked_at))

    def _login(self, kind: str, grant: Grant, turn: Turn, asked_at: float) -> Login:
        """Tokens and client registration together: one does not serve without the other."""
        options, secret = turn.options, turn.secret
        return Login(
            kind=kind,
            provider=options["provider"],
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at=asked_at + grant.expires_in_seconds,
            client_id=secret.get("client_id"),
            client_secret=secret.get("client_secret"),
            client_secret_expires_at=secret.get("client_secret_expires_at"),
            start_url=options.get("start_url"),
            profile_arn=grant.profile_arn,
            auth_region=options["region"],
            proxy_url=secret["proxy_url"],
            label=options["label"],
        )

    def _keep(self, turn: Turn, login: Login) -> None:
        """Store the login and end the flow; one that was cancelled meanwhile brings nothing."""
        if self.get(turn.id).status is not Status.WAITING:
            return
        try:
            check(login)
            id_ = self._stored(login, turn.options["replaces"])
        except GatewayError as error:
            self._over(turn, Status.FAILED, problem=error.message)
        else:
            self._over(turn, Status.DONE, credential_id=id_)

    def _stored(self, login: Login, replaces: int | None) -> int:
        """The credential that has the login now. One that was removed in the meantime comes back as a new one."""
        for _ in range(STORE_TRIES):
            before = None if replaces is None else self._store.get(replaces)
            if before is not None:
                if self._store.sign_in_again(before, login):
                    return before.id
                continue  # changed at the same moment
            try:
                return self._store.add(login)
            except DuplicateCredential as known:
                replaces = known.id
        raise SignInFailed("The credential was changed at the same moment: begin again")

    def _wait(self, turn: Turn, pending: Pending) -> None:
        with transaction() as session:
            row, now = login_flow.find_row(session, turn.id), db_now(session)
            if row.lease_until != turn.lease_until:
                return
            interval = turn.options.get("interval", 0.0) + (sign_in.SLOW_DOWN_SECONDS if pending.slower else 0.0)
            row.options = {**row.options, "interval": interval}
            row.lease_until, row.ask_at = None, now + interval

    def _over(self, turn: Turn, status: Status, *, credential_id: int | None = None, problem: str | None = None) -> None:
        with transaction() as session:
            row = login_flow.find_row(session, turn.id)
            if row.status == Status.WAITING or status is Status.DONE:  # that a login was stored is true whatever came between
                login_flow.end(row, status, credential_id=credential_id, problem=problem)


def _common(wishes: Wishes) -> dict[str, Any]:
    return {"label": wishes.label, "replaces": wishes.replaces}
