"""Is it there, is it ready: for people, load balancers and Claude Code's reachability check."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect
from werkzeug.wrappers import Response as BaseResponse

from app.errors import StorageUnavailable
from app.services import services

bp = Blueprint("health", __name__)


@bp.get("/")
def index() -> BaseResponse:
    """People go to the admin; `HEAD /` is answered by the same route."""
    return redirect("/admin")


@bp.route("/api/hello", methods=["GET", "HEAD"])
def hello() -> Response:
    """Claude Code asks this before its first request."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@bp.get("/healthz")
def healthz() -> Response:
    """The process answers; asks nothing of the database or upstream."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@bp.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Requests can be served: the database answers. Whether a credential can be used is told, but does not make it unready."""
    try:
        usable = services().pool.usable_count()
    except StorageUnavailable as error:
        return {"ready": False, "reason": error.message}, 503
    return {"ready": True, "usable_credentials": usable}, 200
