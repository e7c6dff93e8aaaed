"""`GET /v1/models` and `/v1/models/{id}`: which models can be asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from app.blueprints.authentication import authenticate
from app.errors import RequestRejected
from app.services import services
from app.translate.models import CatalogueModel, resolve

bp = Blueprint("models", __name__)


@bp.get("/v1/models")
@bp.get("/v1/v1/models")
def list_models() -> dict[str, Any]:
    """One page of the catalogue, newest first."""
    authenticate()
    models = [describe(model) for model in services().catalogue()]
    ids = [model["id"] for model in models]
    limit = _limit()
    after, before = request.args.get("after_id"), request.args.get("before_id")
    if before is not None:
        end = ids.index(before) if before in ids else 0
        page, more = models[max(end - limit, 0) : end], end - limit > 0
    else:
        start = ids.index(after) + 1 if after in ids else (len(ids) if after else 0)
        page, more = models[start : start + limit], start + limit < len(models)
    return {
        "object": "list",
        "data": page,
        "has_more": more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


@bp.get("/v1/models/<path:name>")
@bp.get("/v1/v1/models/<path:name>")
def get_model(name: str) -> dict[str, Any]:
    """One model; an alias gives the model it stands for."""
    authenticate()
    catalogue = services().catalogue()
    used = resolve(name, catalogue).used
    return describe(next(model for model in catalogue if model.id == used))


def describe(model: CatalogueModel) -> dict[str, Any]:
    """A model as the API describes one; `object`, `created` and `owned_by` stay for clients of the original."""
    created = datetime.fromtimestamp(model.created, UTC)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
        "lifecycle": "active",
        "object": "model",
        "created": model.created,
        "owned_by": "anthropic" if model.id.startswith("claude") else "kiro",
    }


def _limit() -> int:
    text = request.args.get("limit", "20")
    try:
        limit = int(text)
    except ValueError:
        raise RequestRejected("limit: Input should be a valid integer") from None
    if not 1 <= limit <= 1000:
        bound = "less than or equal to 1000" if limit > 1000 else "greater than or equal to 1"
        raise RequestRejected(f"limit: Input should be {bound}")
    return limit
