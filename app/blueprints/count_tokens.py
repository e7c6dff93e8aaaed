"""`POST /v1/messages/count_tokens`: how many input tokens a request would cost, counted here."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from app.anthropic.request import parse_count_request
from app.blueprints.authentication import api_version, authenticate, read_json
from app.services import services
from app.translate.models import resolve

bp = Blueprint("count_tokens", __name__)


@bp.post("/v1/messages/count_tokens")
@bp.post("/v1/v1/messages/count_tokens")
@bp.post("/cc/v1/messages/count_tokens")
def count_tokens() -> dict[str, Any]:
    """Count the input tokens of a request."""
    authenticate()
    here, version = services(), api_version()
    catalogue = here.catalogue()
    count = parse_count_request(
        read_json(),
        version=version,
        repair=here.settings.current().repair_requests,
        find_model=lambda name: resolve(name, catalogue),
    )
    return {"input_tokens": here.counts.request(count, resolve(count.model, catalogue).used)}
