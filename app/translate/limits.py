"""What a model cannot give: told in the words clients know how to react to. Source: Messages API, section 4.1."""

from __future__ import annotations

from app.anthropic.request import MessageRequest
from app.errors import RequestRejected
from app.translate.models import ResolvedModel


def check_limits(request: MessageRequest, model: ResolvedModel) -> None:
    """Raises RequestRejected when more output is asked for than the model has; Claude Code then asks for as much as it has."""
    if request.max_tokens > model.max_output_tokens:
        raise RequestRejected(
            f"max_tokens: {request.max_tokens} > {model.max_output_tokens}, which is the maximum allowed number of output "
            f"tokens for {request.model}"
        )
