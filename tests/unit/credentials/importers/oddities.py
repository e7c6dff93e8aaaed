"""Whatever may stand in a file: any JSON, and objects with the names of a login and anything as their values."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = (
    "refreshToken refresh_token accessToken authMethod auth provider idp expiresAt region apiRegion priority kiroApiKey email "
    "label clientId clientSecret clientSecretExpiresAt clientIdHash startUrl tokenEndpoint issuerUrl scopes profileArn "
    "proxyUrl proxyUsername proxyPassword machineId status disabled enabled subscription credentials accounts path type"
)
WORDS = (
    "idc",
    "social",
    "external_idp",
    "azure",
    "ksk_x",
    "http://[",
    "https://x.okta.com:port/",
    "..",
    "~nobody/x",
    "2026-13-01",
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
odd = st.dictionaries(st.sampled_from(NAMES.split()), json_values | st.just("A" * 120) | st.sampled_from(WORDS))
