"""Signing in: the device grant of OIDC (Builder ID and IdC), and the social login page with its exchange (PKCE).

The person is `Simulator.approve` for a device code; a login page is signed in to at once and leads back with a code.
Source: protocol 1.9, 1.10.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from simulator.accounts import Account, TokenSet
from simulator.connection import Request
from simulator.gates import DEFAULT_REGION, json_body, take_step
from simulator.recording import Call
from simulator.replies import Answer, Whole, oauth_error, request_id, whole_json
from simulator.sign_ins import BROWSER_CODE_SECONDS, BrowserCode, Device, Registration
from simulator.state import State

OIDC_HOSTS = re.compile(r"oidc\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")
SOCIAL_HOST = f"prod.{DEFAULT_REGION}.auth.desktop.kiro.dev"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
NEEDED_SCOPES = {"codewhisperer:completions", "codewhisperer:analysis", "codewhisperer:conversations"}
BUILDER_ID_START_URL = "https://view.awsapps.com/start"
START_URL = re.compile(r"https://[a-z0-9-]+\.awsapps\.com/start/?(#/?)?")
IDPS = ("Google", "Github", "Cognito")
REDIRECT_PORTS = (3128, 4649, 6588, 8008, 9091, 49153, 50153, 51153, 52153, 53153)
REDIRECT_URI = re.compile(
    r"kiro://kiro\.kiroAgent/authenticate-success|"
    rf"http://(localhost|127\.0\.0\.1):({'|'.join(map(str, REDIRECT_PORTS))})/(oauth|signin)/callback(\?login_option=\w+)?"
)


# Device codes


def register(state: State, request: Request, call: Call) -> Answer:
    """Make a client, which everybody may."""
    region, answer = _oidc(state, request, call)
    if answer is not None:
        return answer
    body = json_body(request)
    grants = body.get("grantTypes", [DEVICE_GRANT, "refresh_token"])
    if not body.get("clientName") or body.get("clientType") != "public" or not isinstance(grants, list):
        return _refused(call, 400, "invalid_client_metadata", "clientName and clientType public are needed")
    if not set(body.get("scopes") or ()).issuperset(NEEDED_SCOPES):
        return _refused(call, 400, "invalid_scope", "These scopes do not serve")
    made = state.sign_ins.register(region, tuple(map(str, grants)), now=state.clock())
    content = {
        "clientId": made.client_id,
        "clientSecret": made.client_secret,
        "clientIdIssuedAt": int(made.issued_at),
        "clientSecretExpiresAt": int(made.expires_at),
        "authorizationEndpoint": None,
        "tokenEndpoint": None,
    }
    return whole_json(200, content)


def authorize_device(state: State, request: Request, call: Call) -> Answer:
    """Begin a sign-in with a code that a person types in a browser."""
    region, answer = _oidc(state, request, call)
    if answer is not None:
        return answer
    client, start_url = _registration(state, request, region), str(json_body(request).get("startUrl") or "")
    if client is None:
        return _refused(call, 401, "invalid_client", "Invalid client")
    if not START_URL.fullmatch(start_url) or (start_url == BUILDER_ID_START_URL and region != DEFAULT_REGION):
        return _refused(call, 400, "invalid_request", "Invalid startUrl")
    options = state.options
    device = state.sign_ins.authorize(
        client,
        start_url,
        interval=options.device_interval,
        expires_at=state.clock() + options.device_seconds,
        approved_after=options.device_approved_after,
    )
    page = f"https://device.sso.{region}.amazonaws.com/"
    content = {
        "deviceCode": device.device_code,
        "userCode": device.user_code,
        "verificationUri": page,
        "verificationUriComplete": f"{page}?user_code={device.user_code}",
        "expiresIn": int(options.device_seconds),
        "interval": device.interval,
    }
    return whole_json(200, content)


def device_token(state: State, request: Request, call: Call) -> Answer:
    """What became of a device code: tokens, or the error that says to wait or to stop."""
    region, answer = _oidc(state, request, call)
    if answer is not None:
        return answer
    client = _registration(state, request, region)
    if client is None:
        return _refused(call, 401, "invalid_client", "Invalid client")
    device = state.sign_ins.by_device_code(str(json_body(request).get("deviceCode") or ""), client)
    outcome = "invalid_grant" if device is None or DEVICE_GRANT not in client.grants else device.ask(state.clock())
    if device is None or outcome != "approve":
        return _refused(call, 400, outcome, f"The device code: {outcome}")
    tokens = _signed_in(state, _person(state, device), client, region)
    call.account = tokens.account.id
    content = {"tokenType": "Bearer", "idToken": None, "refreshToken": tokens.refresh_token}
    return whole_json(200, {"accessToken": tokens.access_token, "expiresIn": int(tokens.expires_in), **content})


def _oidc(state: State, request: Request, call: Call) -> tuple[str, Answer | None]:
    """The region that was asked, and the answer when a script or the host decides it."""
    _, answer = take_step(state, request, call)
    host = OIDC_HOSTS.fullmatch(request.host)
    if answer is None and host is None and state.options.check_host:
        answer = _refused(call, 400, "invalid_request", "Unknown host")
    return host["region"] if host else DEFAULT_REGION, answer


def _registration(state: State, request: Request, region: str) -> Registration | None:
    body = json_body(request)
    client = (str(body.get("clientId") or ""), str(body.get("clientSecret") or ""))
    return state.sign_ins.registration(*client, region, now=state.clock())


def _person(state: State, device: Device) -> Account:
    kind = "builder_id" if device.start_url == BUILDER_ID_START_URL else "idc"
    return _account(state, device.account or state.options.signs_in_as, kind)


def _signed_in(state: State, account: Account, client: Registration, region: str) -> TokenSet:
    keys = (client.client_id, client.client_secret)
    seconds = state.options.access_token_seconds
    return state.accounts.sign_in(account, client=keys, place=region, now=state.clock(), token_seconds=seconds)


# The social login


def social_login(state: State, request: Request, call: Call) -> Answer:
    """The login page, signed in to at once: it leads back to whoever began."""
    _, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    query = request.query
    redirect_uri, challenge = query.get("redirect_uri", ""), query.get("code_challenge", "")
    if request.host != SOCIAL_HOST and state.options.check_host:
        return _refused(call, 400, "invalid_request", "Unknown host")
    if query.get("idp") not in IDPS or not REDIRECT_URI.fullmatch(redirect_uri):
        return _refused(call, 400, "invalid_request", "idp or redirect_uri is not allowed")
    if query.get("code_challenge_method") != "S256" or len(challenge) != 43 or not query.get("state"):
        return _refused(call, 400, "invalid_request", "code_challenge (S256) and state are needed")
    account = _account(state, state.options.signs_in_as, "social")
    expires_at = state.clock() + BROWSER_CODE_SECONDS
    code = state.sign_ins.add_code(BrowserCode(account.id, redirect_uri, challenge, expires_at))
    landing = urlsplit(redirect_uri)
    carried = urlencode([*parse_qsl(landing.query), ("code", code), ("state", query["state"])])
    return Whole(302, {"Location": urlunsplit(landing._replace(query=carried)), **request_id()}, b"")


def social_exchange(state: State, request: Request, call: Call) -> Answer:
    """Trade the code for tokens: once, with the verifier."""
    _, answer = take_step(state, request, call)
    if answer is not None:
        return answer
    if request.host != SOCIAL_HOST and state.options.check_host:
        return _refused(call, 400, "invalid_request", "Unknown host")
    body = json_body(request)
    code = state.sign_ins.use_code(str(body.get("code") or ""))
    verifier, redirect_uri = str(body.get("code_verifier") or ""), str(body.get("redirect_uri") or "")
    if code is None or not code.fits(redirect_uri=redirect_uri, verifier=verifier, now=state.clock()):
        return _refused(call, 401, "invalid_grant", "Invalid authorization code")
    account = _account(state, code.account, "social")
    call.account = account.id
    seconds = state.options.access_token_seconds
    tokens = state.accounts.sign_in(
        account, client=(None, None), place=DEFAULT_REGION, now=state.clock(), token_seconds=seconds
    )
    content: dict[str, Any] = {"accessToken": tokens.access_token, "refreshToken": tokens.refresh_token}
    content |= {"profileArn": account.profile_arn, "expiresIn": int(tokens.expires_in)}
    return whole_json(200, content)


def _account(state: State, id_: str, kind: str) -> Account:
    """The account of this id, or a new one."""
    found = next((account for account in state.accounts if account.id == id_ and account.kind == kind), None)
    if found is not None:
        return found
    return state.accounts.add({"kind": kind}, now=state.clock(), token_seconds=state.options.access_token_seconds)


def _refused(call: Call, status: int, code: str, description: str) -> Answer:
    call.refused_by = code
    return oauth_error(status, code, description)
