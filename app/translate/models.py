"""Which upstream model a client's model name means.

In: a name as clients write it and a catalogue. Out: a `ResolvedModel`, or ModelNotFound. First match wins: the id itself, the
id after normalisation (provider prefix, date, `-latest`, `[1m]`, `-thinking`, `:effort`, dashes for dots, old word order), a
bare family name, and at last a known Claude model the catalogue lacks, for which a member of its own family answers, never one
of another. Knows nothing of where the catalogue comes from. Source: protocol 1.12 and 3.3, Messages API 13.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import ModelNotFound

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model upstream offers.

    created: epoch seconds of its release, for lists. images: whether it reads images. fields_schema: JSON schema of
    `additionalModelRequestFields`, None when the model takes none (protocol 3.4).
    """

    id: str
    name: str
    context_tokens: int
    max_output_tokens: int
    created: int
    images: bool = True
    fields_schema: Mapping[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """asked: the client's name; used: the upstream id. thinking, effort: what the name's suffixes ask for."""

    asked: str
    used: str
    context_tokens: int
    max_output_tokens: int
    images: bool = True
    fields_schema: Mapping[str, Any] | None = field(default=None, hash=False)
    thinking: bool = False
    effort: str | None = None


def _claude_fields(*efforts: str) -> dict[str, Any]:
    """Schema: shape of the live catalogue's `additionalModelRequestFieldsSchema` (protocol 3.4)."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "thinking": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["adaptive", "disabled"]},
                    "display": {"type": "string", "enum": ["summarized", "omitted"]},
                },
            },
            "output_config": {"type": "object", "properties": {"effort": {"type": "string", "enum": list(efforts)}}},
        },
    }


_FOUR_LEVELS = _claude_fields("low", "medium", "high", "max")
_FIVE_LEVELS = _claude_fields("low", "medium", "high", "xhigh", "max")
_GPT_FIELDS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "reasoning": {
            "type": "object",
            "properties": {"effort": {"type": "string", "enum": ["none", "low", "medium", "high", "xhigh"]}},
        }
    },
}

# Observed: the live catalogue of July 2026. Release dates are those of the Messages API's own list, for sorting only.
BUILT_IN: tuple[CatalogueModel, ...] = (
    CatalogueModel("claude-opus-5", "Claude Opus 5", 1_000_000, 128_000, 1_782_864_000, True, _FIVE_LEVELS),
    CatalogueModel("claude-sonnet-5", "Claude Sonnet 5", 1_000_000, 128_000, 1_781_049_600, True, _FIVE_LEVELS),
    CatalogueModel("claude-opus-4.8", "Claude Opus 4.8", 1_000_000, 128_000, 1_778_457_600, True, _FIVE_LEVELS),
    CatalogueModel("claude-opus-4.7", "Claude Opus 4.7", 1_000_000, 128_000, 1_776_297_600, True, _FIVE_LEVELS),
    CatalogueModel("claude-sonnet-4.6", "Claude Sonnet 4.6", 1_000_000, 64_000, 1_771_286_400, True, _FOUR_LEVELS),
    CatalogueModel("claude-opus-4.6", "Claude Opus 4.6", 1_000_000, 128_000, 1_770_249_600, True, _FOUR_LEVELS),
    CatalogueModel("claude-opus-4.5", "Claude Opus 4.5", 200_000, 64_000, 1_763_942_400),
    CatalogueModel("claude-haiku-4.5", "Claude Haiku 4.5", 200_000, 64_000, 1_760_486_400),
    CatalogueModel("claude-sonnet-4.5", "Claude Sonnet 4.5", 200_000, 64_000, 1_759_104_000),
    CatalogueModel("claude-sonnet-4", "Claude Sonnet 4", 200_000, 64_000, 1_747_872_000),
    CatalogueModel("gpt-5.6-sol", "GPT-5.6 Sol", 272_000, 128_000, 1_780_272_000, True, _GPT_FIELDS),
    CatalogueModel("gpt-5.6-terra", "GPT-5.6 Terra", 272_000, 128_000, 1_780_272_000, True, _GPT_FIELDS),
    CatalogueModel("gpt-5.6-luna", "GPT-5.6 Luna", 272_000, 128_000, 1_780_272_000, True, _GPT_FIELDS),
    CatalogueModel("glm-5", "GLM-5", 200_000, 64_000, 1_770_768_000, False),
    CatalogueModel("minimax-m2.5", "MiniMax M2.5", 196_000, 64_000, 1_770_854_400, False),
    CatalogueModel("minimax-m2.1", "MiniMax M2.1", 196_000, 64_000, 1_766_448_000, False),
    CatalogueModel("qwen3-coder-next", "Qwen3 Coder Next", 256_000, 64_000, 1_770_163_200, False),
    CatalogueModel("deepseek-3.2", "DeepSeek V3.2", 128_000, 64_000, 1_764_547_200, False),
    CatalogueModel("auto", "Auto", 200_000, 64_000, 1_757_894_400),
)

# Claude models that exist or existed, so that a name for one of them is not a typing mistake.
KNOWN_CLAUDE: dict[str, frozenset[Version]] = {
    "opus": frozenset({(3, 0), (4, 0), (4, 1), (4, 5), (4, 6), (4, 7), (4, 8), (5, 0), (5, 5)}),
    "sonnet": frozenset({(3, 0), (3, 5), (3, 7), (4, 0), (4, 5), (4, 6), (4, 8), (5, 0), (5, 5)}),
    "haiku": frozenset({(3, 0), (3, 5), (4, 5), (5, 5)}),
}
# The original sends every Sonnet, Opus and Haiku it does not know to the 4.5 of that family.
ORIGINAL_TARGET: Version = (4, 5)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_PROVIDER = re.compile(r"^(?:[a-z0-9_.-]+/)+|^(?:(?:us|eu|apac|global)\.)?anthropic\.")
_SUFFIX = re.compile(
    rf"(?P<window>\[1m\])|(?P<thinking>[-:]thinking)|-latest|[-@]\d{{8}}|-v\d+:\d+|:(?P<effort>{'|'.join(EFFORTS)})"
)
_OLD_EFFORT = re.compile(rf"^(claude-\d.*-(?:opus|sonnet|haiku))-(?P<effort>{'|'.join(EFFORTS)})$")
_FAMILY_FIRST = re.compile(r"^(?:claude-)?(opus|sonnet|haiku)(?:-(\d{1,2})(?:[.-](\d{1,2}))?)?$")
_VERSION_FIRST = re.compile(r"^claude-(\d{1,2})(?:[.-](\d{1,2}))?-(opus|sonnet|haiku)$")
_DASH_BETWEEN_DIGITS = re.compile(r"(?<=\d)-(?=\d)")


@dataclass(frozen=True, slots=True)
class _Name:
    """A model name taken apart. version: None when only a family was named."""

    plain: str
    family: str | None
    version: Version | None
    thinking: bool
    effort: str | None


def resolve(name: str, catalogue: Iterable[CatalogueModel]) -> ResolvedModel:
    """The catalogue's model for a name; raises ModelNotFound."""
    models = tuple(catalogue)
    asked = _take_apart(name)
    exact = name.strip().lower()
    for wanted in (exact, asked.plain):
        for model in models:
            if model.id.lower() == wanted:
                return _resolved(name, model, asked if wanted != exact else None)
    parts = [_take_apart(model.id) for model in models]
    if asked.family is None:
        for model, part in zip(models, parts, strict=True):
            if part.family is None and part.plain == asked.plain:
                return _resolved(name, model, asked)
        raise ModelNotFound(name)
    family = {
        part.version: model
        for model, part in zip(models, parts, strict=True)
        if part.family == asked.family and part.version is not None
    }
    version = _choose_version(asked, list(family))
    if version is None:
        raise ModelNotFound(name)
    return _resolved(name, family[version], asked)


def _choose_version(asked: _Name, versions: list[Version]) -> Version | None:
    """The asked version, the newest for a bare family, or the original's mapping for a known version that is not there."""
    if not versions or asked.family is None:
        return None
    newest = max(versions)
    if asked.version is None:
        return newest
    if asked.version in versions:
        return asked.version
    if asked.version not in KNOWN_CLAUDE[asked.family]:
        return None
    lowest = max(asked.version, ORIGINAL_TARGET)
    return min((version for version in versions if version >= lowest), default=newest)


def _take_apart(name: str) -> _Name:
    """Strip everything that does not name the model, remembering what it asked for."""
    plain = _PROVIDER.sub("", name.strip().lower())
    thinking, effort = False, None
    while True:
        # Longest name first: a suffix is only one at the very end.
        found = next((match for match in _SUFFIX.finditer(plain) if match.end() == len(plain)), None)
        if found is None:
            break
        thinking = thinking or found["thinking"] is not None
        effort = effort or found["effort"]
        plain = plain[: found.start()]
    if old := _OLD_EFFORT.match(plain):
        effort = effort or old["effort"]
        plain = old[1]
    family, version = None, None
    if match := _FAMILY_FIRST.match(plain):
        family = match[1]
        version = (int(match[2]), int(match[3] or 0)) if match[2] else None
    elif match := _VERSION_FIRST.match(plain):
        family = match[3]
        version = (int(match[1]), int(match[2] or 0))
    return _Name(_DASH_BETWEEN_DIGITS.sub(".", plain), family, version, thinking, effort)


def _resolved(name: str, model: CatalogueModel, asked: _Name | None) -> ResolvedModel:
    return ResolvedModel(
        asked=name,
        used=model.id,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        images=model.images,
        fields_schema=model.fields_schema,
        thinking=asked is not None and asked.thinking,
        effort=None if asked is None else asked.effort,
    )
