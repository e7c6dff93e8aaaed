"""The one call to an organisation's own identity provider: its token endpoint trades a refresh token.

In: what was signed in with. Out: an `HttpCall`. Whether the endpoint may be trusted with the token is not decided here
(see `credential.check_token_endpoint`).
Source: protocol 1.11: a public client (no secret), a form instead of JSON. Assumed: that the provider does not look at the
user agent.
"""

from __future__ import annotations

from urllib.parse import urlencode

from app.kiro.endpoints import HttpCall

# Without it the answer would hold no refresh token.
STAYS_SIGNED_IN = "offline_access"


def external_refresh_call(*, token_endpoint: str, client_id: str, refresh_token: str, scopes: str | None) -> HttpCall:
    """Trade a refresh token. scopes: as they were signed in with, separated by blanks or commas; None asks for the same."""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    if scopes:
        asked = dict.fromkeys([*scopes.replace(",", " ").split(), STAYS_SIGNED_IN])
        form["scope"] = " ".join(asked)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }
    return HttpCall("POST", token_endpoint, headers, urlencode(form).encode())
