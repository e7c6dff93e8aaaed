"""Every way the gateway can fail, as one tree.

    GatewayError                     status  error.type              reaction of the pool
    ├── RequestRejected              400     invalid_request_error   –
    │   ├── PromptTooLong            400     invalid_request_error   –
    │   ├── RequestTooLarge          413     request_too_large       –
    │   └── ModelNotFound            404     not_found_error         –
    ├── NotFound                     404     not_found_error         – (unknown path)
    ├── MethodNotAllowed             405     invalid_request_error   –
    ├── NotAuthenticated             401     authentication_error    –
    ├── PermissionDenied             403     permission_error        –
    ├── KeyLimitReached              429     rate_limit_error        –
    ├── AllCoolingDown               429     rate_limit_error        – (retry-after: earliest return)
    ├── AllExhausted                 429     rate_limit_error        – (names the reset date)
    ├── NoUsableCredential           503     api_error               – (says what to do)
    ├── AtCapacity                   529     overloaded_error        –
    ├── StorageUnavailable           503     api_error               –
    ├── UpstreamError                502     api_error
    │   ├── TokenRejected            502     api_error               refresh once, retry same; then fail over
    │   ├── AccountSuspended         502     api_error               SUSPENDED, fail over
    │   ├── QuotaExhausted           429     rate_limit_error        EXHAUSTED until the reset date, fail over
    │   ├── Throttled                429     rate_limit_error        cool down (retry-after), fail over
    │   ├── UpstreamUnavailable      529     overloaded_error        short cool-down after n, retry / fail over
    │   ├── ProfileRequired          502     api_error               try the other profile ARN form once
    │   ├── UpstreamRefused          400     invalid_request_error   give up: another credential will not help
    │   └── EventStreamError         502     api_error               before content: retry; after: error event
    │       ├── MalformedFrame
    │       │   ├── CorruptFrame
    │       │   └── FrameTooLarge
    │       ├── MalformedEvent
    │       └── TruncatedStream
    └── RefreshFailed                502     api_error               use while not expired, else fail over
        └── RefreshTokenRejected     502     api_error               REJECTED (sign in again), fail over

Code looks at these types, never at message text. A message has two readers: what `str(error)` says goes to the client and
says what to do next; the log adds credential, upstream request id and cause. Neither ever shows a token.

This module imports nothing of the project, so that every layer may raise from it.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Root of the tree; `status` and `error_type` decide what the client is told.

    retry_after_seconds: sent as the `retry-after` header when not None.
    should_retry: sent as `x-should-retry`, which the official SDKs obey above all else, when not None.
    details: the optional `error.details` object of the Messages API, e.g. `{"error_code": …}`.
    """

    status = 500
    error_type = "api_error"
    default_message = "Internal server error"
    should_retry: bool | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_seconds: int | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message or self.default_message)
        self.retry_after_seconds = retry_after_seconds
        self.details = details

    @property
    def message(self) -> str:
        """What the client reads."""
        return str(self.args[0])


class RequestRejected(GatewayError):
    """The client's request is at fault; sending it again unchanged cannot work."""

    status = 400
    error_type = "invalid_request_error"
    default_message = "The request is not valid"
    should_retry = False


class PromptTooLong(RequestRejected):
    """The conversation does not fit the model's window; Claude Code and litellm parse the two numbers."""

    def __init__(self, tokens: int, maximum: int) -> None:
        super().__init__(f"prompt is too long: {max(tokens, maximum + 1)} tokens > {maximum} maximum")
        self.tokens = max(tokens, maximum + 1)
        self.maximum = maximum


class RequestTooLarge(RequestRejected):
    status = 413
    error_type = "request_too_large"
    default_message = "Request exceeds the maximum size of 32 MB"


class ModelNotFound(RequestRejected):
    status = 404
    error_type = "not_found_error"

    def __init__(self, name: str) -> None:
        super().__init__(f"model: {name}")
        self.name = name


class NotFound(GatewayError):
    status = 404
    error_type = "not_found_error"
    default_message = "Not found"
    should_retry = False


class MethodNotAllowed(GatewayError):
    status = 405
    error_type = "invalid_request_error"
    default_message = "Method not allowed"
    should_retry = False


class NotAuthenticated(GatewayError):
    status = 401
    error_type = "authentication_error"
    default_message = "invalid x-api-key"
    should_retry = False


class PermissionDenied(GatewayError):
    status = 403
    error_type = "permission_error"
    default_message = "This API key may not use the requested resource"
    should_retry = False


class KeyLimitReached(GatewayError):
    status = 429
    error_type = "rate_limit_error"
    default_message = "This API key has reached its limit"


class AllCoolingDown(GatewayError):
    status = 429
    error_type = "rate_limit_error"
    default_message = "Every Kiro credential is cooling down"


class AllExhausted(GatewayError):
    status = 429
    error_type = "rate_limit_error"
    default_message = "The quota of every Kiro credential is used up"
    should_retry = False


class NoUsableCredential(GatewayError):
    status = 503
    error_type = "api_error"
    default_message = "No usable Kiro credential: sign in with `flask --app wsgi login`"


class AtCapacity(GatewayError):
    status = 529
    error_type = "overloaded_error"
    default_message = "Overloaded"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int | None = 2) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class StorageUnavailable(GatewayError):
    status = 503
    error_type = "api_error"
    default_message = "The gateway's database does not answer; try again in a moment"


class UpstreamError(GatewayError):
    """Kiro answered with an error, or not at all.

    upstream_status: HTTP status of Kiro's answer, None when there was none.
    reason: Kiro's own `reason` code, None when it sent none.
    """

    status = 502
    error_type = "api_error"
    default_message = "Kiro answered with an error"

    def __init__(
        self,
        message: str | None = None,
        *,
        upstream_status: int | None = None,
        reason: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.upstream_status = upstream_status
        self.reason = reason


class TokenRejected(UpstreamError):
    default_message = "Kiro does not accept this credential's access token"


class AccountSuspended(UpstreamError):
    default_message = "Kiro has suspended this account; see the account's page at Kiro"


class QuotaExhausted(UpstreamError):
    status = 429
    error_type = "rate_limit_error"
    default_message = "The quota of this Kiro account is used up"


class Throttled(UpstreamError):
    status = 429
    error_type = "rate_limit_error"
    default_message = "Kiro asks to slow down"


class UpstreamUnavailable(UpstreamError):
    status = 529
    error_type = "overloaded_error"
    default_message = "Kiro is overloaded or out of reach"


class ProfileRequired(UpstreamError):
    default_message = "Kiro wants another profile ARN for this credential"


class UpstreamRefused(UpstreamError):
    status = 400
    error_type = "invalid_request_error"
    default_message = "Kiro refuses this request"
    should_retry = False


class EventStreamError(UpstreamError):
    """The bytes of the event stream are not what the protocol allows."""

    default_message = "Kiro's answer was damaged on its way"


class MalformedFrame(EventStreamError):
    default_message = "Kiro's answer holds a frame that cannot be read"


class CorruptFrame(MalformedFrame):
    default_message = "Kiro's answer was damaged on its way: a checksum is wrong"


class FrameTooLarge(MalformedFrame):
    default_message = "Kiro's answer announces a frame over the limit"


class MalformedEvent(EventStreamError):
    default_message = "Kiro's answer holds an event that cannot be read"


class TruncatedStream(EventStreamError):
    default_message = "Kiro's answer ended before it was complete"


class RefreshFailed(GatewayError):
    """No usable access token could be had for one credential; `credential_id` says which, when known."""

    status = 502
    error_type = "api_error"
    default_message = "The credential's token could not be refreshed"
    credential_id: int | None = None


class RefreshTokenRejected(RefreshFailed):
    default_message = "The credential's refresh token is no longer accepted: sign in again"


class RefreshUnclear(RefreshFailed):
    """The refresh was sent and its end is not known: the token may have been consumed."""

    default_message = "The refresh ended unclear: the refresh token may have been consumed"
