"""`GET /v1/models` and `/v1/models/{id}`: which models can be asked for, and what each of them can do through this gateway."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request

from app.blueprints.authentication import authenticate
from app.errors import ModelNotFound, RequestRejected
from app.services import services
from app.translate.model_names import FAMILIES, take_apart
from app.translate.models import CatalogueModel, resolve

bp = Blueprint("models", __name__)

MOST, USUAL = 1000, 20
LIFECYCLES = ("active", "deprecated", "retired")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
YES, NO = {"supported": True}, {"supported": False}


@bp.get("/v1/models")
@bp.get("/v1/v1/models")
@bp.get("/cc/v1/models")
def list_models() -> dict[str, Any]:
    """One page of the catalogue, newest first."""
    authenticate()
    limit, wanted = _limit(), _lifecycles()
    models = services().catalogue() if "active" in wanted else ()
    page, more = _page(models, limit)
    return {
        "object": "list",
        "data": [describe(model) for model in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


@bp.get("/v1/models/<path:name>")
@bp.get("/v1/v1/models/<path:name>")
@bp.get("/cc/v1/models/<path:name>")
def get_model(name: str) -> dict[str, Any]:
    """One model; an alias gives the model it stands for."""
    authenticate()
    catalogue = services().catalogue()
    used = resolve(name, catalogue).used
    found = next((model for model in catalogue if model.id == used), None)
    if found is None:  # passed on unknown: there is nothing to say of it
        raise ModelNotFound(name)
    return describe(found)


def describe(model: CatalogueModel) -> dict[str, Any]:
    """A model as the API describes one; `object`, `created` and `owned_by` stay for clients of the original."""
    is_claude = model.id.startswith("claude")
    family = take_apart(model.id).family
    created = datetime.fromtimestamp(model.created, UTC)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
        "lifecycle": "active",
        "line": family if family in FAMILIES else None,
        "deprecated_at": None,
        "retires_at": None,
        "capabilities": _capabilities(model, is_claude=is_claude),
        "object": "model",
        "created": model.created,
        "owned_by": "anthropic" if is_claude else "kiro",
    }


def _capabilities(model: CatalogueModel, *, is_claude: bool) -> dict[str, Any]:
    """What works through the gateway: PDFs are read here, and what a demanded format asks for is only put into words."""
    properties = (model.fields_schema or {}).get("properties", {})
    named = [properties.get(name, {}).get("properties", {}).get("effort", {}) for name in ("output_config", "reasoning")]
    levels = {level for effort in named for level in effort.get("enum", ())}
    thinks = is_claude or bool(properties)
    return {
        "batch": NO,
        "citations": NO,
        "code_execution": NO,
        "context_management": {
            **NO,
            "clear_thinking_20251015": NO,
            "clear_tool_uses_20250919": NO,
            "compact_20260112": NO,
        },
        "effort": {"supported": bool(levels), **{level: {"supported": level in levels} for level in EFFORTS}},
        "image_input": {"supported": model.images},
        "pdf_input": YES,
        "server_tools": {**NO, "web_search": NO, "code_execution": NO},
        "structured_outputs": NO,
        "thinking": {
            "supported": thinks,
            "types": {
                "adaptive": {"supported": thinks},
                "between_tools": NO,
                "disabled": YES,
                "enabled": {"supported": thinks},
            },
        },
    }


# -- paging --


def _page(models: Sequence[CatalogueModel], limit: int) -> tuple[Sequence[CatalogueModel], bool]:
    """The models right after `after_id`, or right before `before_id`, and whether there are more that way.

    An id that is not in the list has nothing after or before it.
    """
    after, before = request.args.get("after_id"), request.args.get("before_id")
    if after and before:  # Assumed: what the real API says to that was never seen
        raise RequestRejected("before_id: Only one of `before_id` and `after_id` may be given")
    ids = [model.id for model in models]
    if before:
        end = ids.index(before) if before in ids else 0
        return models[max(end - limit, 0) : end], end > limit
    start = 0 if not after else ids.index(after) + 1 if after in ids else len(ids)
    return models[start : start + limit], start + limit < len(models)


def _limit() -> int:
    text = request.args.get("limit", str(USUAL))
    try:
        limit = int(text)
    except ValueError:
        raise RequestRejected("limit: Input should be a valid integer, unable to parse string as an integer") from None
    if not 1 <= limit <= MOST:
        bound = f"less than or equal to {MOST}" if limit > MOST else "greater than or equal to 1"
        raise RequestRejected(f"limit: Input should be {bound}")
    return limit


def _lifecycles() -> list[str]:
    """The stages asked for; the SDKs write the name with brackets."""
    wanted = request.args.getlist("lifecycle") + request.args.getlist("lifecycle[]")
    for at, stage in enumerate(wanted):
        if stage not in LIFECYCLES:
            raise RequestRejected(f"lifecycle.{at}: Input should be 'active', 'deprecated' or 'retired'")
    return wanted or ["active", "deprecated"]
