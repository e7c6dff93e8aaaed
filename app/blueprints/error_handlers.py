"""Every failure in the Anthropic shape, with its id, on every path.

In: whatever a view raised. Out: `{"type":"error","error":{…},"request_id":…}` with the headers the official SDKs obey.
"""

from __future__ import annotations

import logging
import os

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed

from app.anthropic.envelope import error_body, error_headers
from app.anthropic.ids import request_id as new_request_id
from app.blueprints.authentication import authenticate, request_id
from app.errors import GatewayError, MethodNotAllowed, NotAuthenticated, NotFound, RequestRejected, RequestTooLarge
from app.relay import ClientGone

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Give every request an id and every failure its envelope."""
    app.before_request(_give_id)
    app.after_request(_send_id)
    app.register_error_handler(GatewayError, _gateway_error)
    app.register_error_handler(ClientGone, _client_gone)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _bug)


def _give_id() -> None:
    g.request_id = new_request_id(os.urandom(18))


def _send_id(response: Response) -> Response:
    response.headers["request-id"] = request_id()
    return response


def _gateway_error(error: GatewayError) -> Response:
    return Response(
        orjson.dumps(error_body(error, request_id())), error.status, error_headers(error), content_type="application/json"
    )


def _client_gone(_error: ClientGone) -> Response:
    return Response(status=499)


def _http_exception(error: HTTPException) -> Response:
    """What routing raises. Below /v1/ a missing key is told before a missing path, as the real API does."""
    if request.path.startswith(("/v1/", "/cc/v1/")):
        try:
            authenticate()
        except NotAuthenticated as refusal:
            return _gateway_error(refusal)
    if isinstance(error, WerkzeugMethodNotAllowed):
        answer = _gateway_error(MethodNotAllowed())
        answer.headers["allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer
    if error.code == 404:
        return _gateway_error(NotFound())
    if error.code == 413:
        return _gateway_error(RequestTooLarge())
    if error.code is not None and 300 <= error.code < 400:
        return Response(error.get_response().data, error.code, dict(error.get_headers()))
    return _gateway_error(RequestRejected(error.description) if (error.code or 500) < 500 else GatewayError())


def _bug(error: Exception) -> Response:
    log.exception("request %s failed inside the gateway", request_id(), exc_info=error)
    return _gateway_error(GatewayError())
