"""The models the stand-in knows, as ListAvailableModels shows them.

Source: protocol 1.12 and 3.4 (catalogue of July 2026), plus three newer ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

LOW_TO_MAX = ("low", "medium", "high", "max")
LOW_TO_XHIGH = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Model:
    """One model. fields: schema of `additionalModelRequestFields`, None where the model takes none."""

    id: str
    context_tokens: int
    rate: float
    fields: dict[str, Any] | None = None
    max_output_tokens: int = 64_000

    @property
    def thinks(self) -> bool:
        """Whether it answers native reasoning events when asked to."""
        return self.fields is not None and "thinking" in self.fields["properties"]

    @property
    def opus_version(self) -> float | None:
        found = re.fullmatch(r"claude-opus-(\d+(?:\.\d+)?)", self.id)
        return float(found[1]) if found else None

    def describe(self) -> dict[str, Any]:
        """Its entry in ListAvailableModels."""
        entry: dict[str, Any] = {
            "modelId": self.id,
            "modelName": self.id.replace("-", " ").title(),
            "description": f"The {self.id} model",
            "modelProvider": "Anthropic" if self.id.startswith("claude") else "Other",
            "rateMultiplier": self.rate,
            "rateUnit": "Credit",
            "tokenLimits": {"maxInputTokens": self.context_tokens, "maxOutputTokens": self.max_output_tokens},
            "supportedInputTypes": ["TEXT", "IMAGE"],
            "promptCaching": {
                "supportsPromptCaching": True,
                "maximumCacheCheckpointsPerRequest": 4,
                "minimumTokensPerCacheCheckpoint": 1024,
            },
        }
        if self.fields is not None:
            entry["additionalModelRequestFieldsSchema"] = self.fields
        return entry


def _claude(efforts: tuple[str, ...], default: str = "high") -> dict[str, Any]:
    return _closed(
        thinking=_closed(
            type={"type": "string", "enum": ["adaptive", "disabled"]},
            display={"type": "string", "enum": ["summarized", "omitted"]},
        ),
        output_config=_closed(effort={"type": "string", "enum": list(efforts), "default": default}),
        max_tokens={"type": "integer", "minimum": 1024, "maximum": 64_000},
    )


def _gpt() -> dict[str, Any]:
    return _closed(reasoning=_closed(effort={"type": "string", "enum": ["none", *LOW_TO_XHIGH]}))


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


MODELS = (
    Model("claude-opus-5.5", 1_000_000, 2.2, _claude(LOW_TO_XHIGH)),
    Model("claude-opus-5", 1_000_000, 2.2, _claude(LOW_TO_XHIGH)),
    Model("claude-opus-4.8", 1_000_000, 2.2, _claude(LOW_TO_XHIGH)),
    Model("claude-opus-4.7", 1_000_000, 2.2, _claude(LOW_TO_XHIGH, "xhigh")),
    Model("claude-opus-4.6", 1_000_000, 2.2, _claude(LOW_TO_MAX)),
    Model("claude-opus-4.5", 200_000, 2.2),
    Model("claude-sonnet-5.5", 1_000_000, 1.3, _claude(LOW_TO_XHIGH)),
    Model("claude-sonnet-5", 1_000_000, 1.3, _claude(LOW_TO_XHIGH)),
    Model("claude-sonnet-4.6", 1_000_000, 1.3, _claude(LOW_TO_MAX)),
    Model("claude-sonnet-4.5", 200_000, 1.3),
    Model("claude-sonnet-4", 200_000, 1.3),
    Model("claude-haiku-5.5", 200_000, 0.4, _claude(LOW_TO_MAX)),
    Model("claude-haiku-4.5", 200_000, 0.4),
    Model("gpt-5.6-sol", 272_000, 1.5, _gpt()),
    Model("gpt-5.6-terra", 272_000, 1.0, _gpt()),
    Model("gpt-5.6-luna", 272_000, 0.5, _gpt()),
    Model("auto", 200_000, 1.0),
    Model("deepseek-3.2", 128_000, 0.25),
    Model("glm-5", 200_000, 0.5),
    Model("minimax-m2.1", 196_000, 0.15),
    Model("minimax-m2.5", 196_000, 0.15),
    Model("qwen3-coder-next", 256_000, 0.05),
)
BY_ID = {model.id: model for model in MODELS}
DASHED_VERSION = re.compile(r"(?<=\d)-(?=\d)")


def find(model_id: str) -> Model | None:
    """The model of this id; the older host also takes dashes in versions (`claude-sonnet-4-5`)."""
    return BY_ID.get(model_id) or BY_ID.get(DASHED_VERSION.sub(".", model_id))


def offered(plan: str) -> list[Model]:
    """What a plan may list: free accounts get no Opus."""
    return [model for model in MODELS if plan != "free" or model.opus_version is None]
