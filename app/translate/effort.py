"""How much the model is to think: the client's wish in the words of the model at hand.

In: `thinking`, effort and the model. Out: `additionalModelRequestFields` for a model that has such fields, else a prefix of the
system text, and what of the thinking the client wants to see. Source: protocol 3.3 and 3.4; failure corpus 46 to 51.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.anthropic.request import MessageRequest
from app.translate.models import ResolvedModel

DEFAULT_BUDGET = 20_000
MOST_BUDGET = 24_576
DEFAULT_EFFORT = "high"
LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class View(Enum):
    """What the client sees of the thinking."""

    HIDDEN = "nothing"
    OMITTED = "an empty block with its signature"
    SHOWN = "all of it"


@dataclass(frozen=True, slots=True)
class Thinking:
    """model_fields: None when there are none to send. prefix: of the system text, "" for none; its tags are then looked for."""

    view: View
    model_fields: dict[str, Any] | None
    prefix: str

    @property
    def tagged(self) -> bool:
        """Whether the thinking comes as tags inside the text."""
        return bool(self.prefix)


def translate_thinking(request: MessageRequest, model: ResolvedModel) -> Thinking:
    """The wish, clamped to what the model knows."""
    wanted, budget, display = _wanted(request, model)
    view = View.HIDDEN if not wanted else View.OMITTED if display == "omitted" else View.SHOWN
    effort = _effort(request) or model.effort
    properties = (model.fields_schema or {}).get("properties", {})
    if "output_config" in properties or "reasoning" in properties or "thinking" in properties:
        return Thinking(view, _fields(properties, wanted, effort, budget, display) or None, "")
    return Thinking(view, None, _prefix(request, effort, budget) if wanted else "")


def _wanted(request: MessageRequest, model: ResolvedModel) -> tuple[bool, int | None, str | None]:
    """Whether to think, the budget in tokens, and the display."""
    thinking = request.thinking
    if thinking is None:
        return model.thinking, None, None
    if thinking.type == "enabled":
        return True, thinking.budget_tokens, thinking.display
    if thinking.type == "adaptive":
        return True, None, thinking.display
    return model.thinking, None, None


def _effort(request: MessageRequest) -> str | None:
    """The effort in force at the end: of the last message that says one, else of the request."""
    for message in reversed(request.messages):
        if message.output_config is not None and message.output_config.effort is not None:
            return message.output_config.effort
    return request.output_config.effort if request.output_config is not None else None


def _fields(
    properties: dict[str, Any], wanted: bool, effort: str | None, budget: int | None, display: str | None
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if wanted and effort is None and budget is not None:
        effort = _effort_of(budget)
    if "thinking" in properties and wanted:
        said = {"type": "adaptive", "display": "omitted" if display == "omitted" else "summarized"}
        known = properties["thinking"].get("properties", said)  # a field that the schema lacks would be refused
        fields["thinking"] = {name: value for name, value in said.items() if name in known}
    for name in ("output_config", "reasoning"):
        levels = properties.get(name, {}).get("properties", {}).get("effort", {}).get("enum", ())
        if levels and effort is not None:
            fields[name] = {"effort": clamp(effort, levels)}
    return fields


def clamp(effort: str, levels: Sequence[str]) -> str:
    """The level itself where the model has it, else the nearest lower one, else the lowest that is not "none"."""
    if effort in levels:
        return effort
    rank = LEVELS.index(effort) if effort in LEVELS else LEVELS.index(DEFAULT_EFFORT)
    known = sorted((level for level in levels if level in LEVELS and level != "none"), key=LEVELS.index)
    if not known:
        return levels[0]
    lower = [level for level in known if LEVELS.index(level) <= rank]
    return lower[-1] if lower else known[0]


def _effort_of(budget: int) -> str:
    """Source: protocol 3.4, the newest mapping."""
    for bound, effort in ((4_000, "low"), (16_000, "medium"), (64_000, "high")):
        if budget <= bound:
            return effort
    return "xhigh"


def _prefix(request: MessageRequest, effort: str | None, budget: int | None) -> str:
    """Tags the model was taught to understand."""
    if request.thinking is not None and request.thinking.type == "adaptive":
        effort = clamp(effort or DEFAULT_EFFORT, ("low", "medium", "high", "max"))
        return f"<thinking_mode>adaptive</thinking_mode><thinking_effort>{effort}</thinking_effort>"
    length = min(budget or DEFAULT_BUDGET, MOST_BUDGET)
    return f"<thinking_mode>enabled</thinking_mode><max_thinking_length>{length}</max_thinking_length>"
