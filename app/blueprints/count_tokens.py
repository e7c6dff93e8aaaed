"""`POST /v1/messages/count_tokens`: how many input tokens a request would cost, asked where told to, else counted here."""

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
    here, version, raw = services(), api_version(), read_json()
    catalogue = here.catalogue()
    count = parse_count_request(
        raw,
        version=version,
        repair=here.settings.current().repair_requests,
        find_model=lambda name: resolve(name, catalogue),
    )
    tokens = here.counter.ask(raw, version=version)
    if tokens is None:
        tokens = here.counts.request(count, resolve(count.model, catalogue).used)
    return {"input_tokens": tokens}
