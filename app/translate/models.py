"""Which upstream model a client's model name means.

In: a name as clients write it and a catalogue. Out: a `ResolvedModel`, or ModelNotFound. First match wins: an alias of the
operator's, the id itself, the id once everything is taken off the name that does not belong to it (`model_names`), a bare
family name, and at last a known Claude model the catalogue lacks, for which a member of its own family answers, never one of
another. A catalogue may pass on what is left.
Knows nothing of where the catalogue comes from. Source: protocol 1.12 and 3.3, Messages API 13.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from app.errors import ModelNotFound
from app.kiro.models import ListedModel
from app.translate.model_names import LONGEST_NAME, ModelName, Version, take_apart

# Of a model that says nothing of itself.
USUAL_CONTEXT_TOKENS = 200_000
USUAL_OUTPUT_TOKENS = 64_000
# Of one that is passed on unknown: nothing is refused here that it may be able to.
MOST_OUTPUT_TOKENS = 128_000


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model upstream offers.

    created: epoch seconds of its release, 0 when that is not known. images: whether it reads images. fields_schema: JSON schema
    of `additionalModelRequestFields`, None when the model takes none (protocol 3.4). rate: credits for a usual request.
    """

    id: str
    name: str
    context_tokens: int
    max_output_tokens: int
    created: int
    images: bool = True
    fields_schema: Mapping[str, Any] | None = field(default=None, hash=False)
    rate: float | None = None


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


def _spelled(aliases: Mapping[str, str]) -> dict[str, str]:
    """Aliases under their plain spelling too (`claude-opus-5-5` is `claude-opus-5.5`)."""
    spelled = {take_apart(name).plain: target for name, target in aliases.items() if take_apart(name).is_bare}
    return spelled | dict(aliases)


def _newest_first(model: CatalogueModel) -> tuple[float, int, int, str]:
    """A model whose release is not known here is newer than this table."""
    major, minor = take_apart(model.id).version or (0, 0)
    return -(model.created or math.inf), -major, -minor, model.id


class Catalogue(tuple[CatalogueModel, ...]):
    """The models, newest first, and what the operator says of names.

    aliases: name → what it stands for, names in lower case. passes_unknown: whether a name that means nothing is sent as it is.
    """

    aliases: Mapping[str, str]
    passes_unknown: bool
    _by_name: Mapping[str, CatalogueModel]
    _families: Mapping[str, Mapping[Version, CatalogueModel]]

    def __new__(
        cls, models: Iterable[CatalogueModel], *, aliases: Mapping[str, str] | None = None, passes_unknown: bool = False
    ) -> Catalogue:
        self = super().__new__(cls, sorted(models, key=_newest_first))
        self.aliases, self.passes_unknown = MappingProxyType(_spelled(aliases or {})), passes_unknown
        by_name: dict[str, CatalogueModel] = {model.id.lower(): model for model in self}
        families: dict[str, dict[Version, CatalogueModel]] = {}
        parts = [(take_apart(model.id), model) for model in self]
        # An id with something to take off (`…-1m`) stands for itself, and for the plain name only where nothing else does.
        for part, model in sorted(parts, key=lambda pair: not pair[0].is_bare):
            by_name.setdefault(part.plain, model)
            if part.family is not None and part.version is not None:
                families.setdefault(part.family, {}).setdefault(part.version, model)
        self._by_name, self._families = by_name, families
        return self

    def meaning(self, name: str) -> tuple[str, ModelName]:
        """What a name stands for once aliases are followed, one step far, and that taken apart."""
        asked = take_apart(name)
        if (target := self.aliases.get(asked.exact)) is not None:
            return target, take_apart(target)
        if (target := self.aliases.get(asked.plain)) is None:
            return name.strip(), asked
        meant = take_apart(target)
        return target, replace(meant, thinking=meant.thinking or asked.thinking, effort=asked.effort or meant.effort)

    def find(self, name: ModelName) -> CatalogueModel | None:
        """The model of a name; None when there is none that may stand for it."""
        found = self._by_name.get(name.exact) or self._by_name.get(name.plain)
        if found is not None or name.family is None:
            return found
        family = self._families.get(name.family, {})
        version = _choose_version(name.family, name.version, list(family))
        return None if version is None else family[version]


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

# Observed: the live catalogue of July 2026, its prices as far as they were seen. Release dates are those of the Messages API's
# own list, for sorting and showing only.
BUILT_IN = Catalogue(
    (
        CatalogueModel("claude-opus-5", "Claude Opus 5", 1_000_000, 128_000, 1_782_864_000, True, _FIVE_LEVELS, 2.2),
        CatalogueModel("claude-sonnet-5", "Claude Sonnet 5", 1_000_000, 128_000, 1_781_049_600, True, _FIVE_LEVELS, 1.3),
        CatalogueModel("claude-opus-4.8", "Claude Opus 4.8", 1_000_000, 128_000, 1_778_457_600, True, _FIVE_LEVELS),
        CatalogueModel("claude-opus-4.7", "Claude Opus 4.7", 1_000_000, 128_000, 1_776_297_600, True, _FIVE_LEVELS),
        CatalogueModel("claude-sonnet-4.6", "Claude Sonnet 4.6", 1_000_000, 64_000, 1_771_286_400, True, _FOUR_LEVELS),
        CatalogueModel("claude-opus-4.6", "Claude Opus 4.6", 1_000_000, 128_000, 1_770_249_600, True, _FOUR_LEVELS),
        CatalogueModel("claude-opus-4.5", "Claude Opus 4.5", 200_000, 64_000, 1_763_942_400),
        CatalogueModel("claude-haiku-4.5", "Claude Haiku 4.5", 200_000, 64_000, 1_760_486_400, rate=0.4),
        CatalogueModel("claude-sonnet-4.5", "Claude Sonnet 4.5", 200_000, 64_000, 1_759_104_000, rate=1.3),
        CatalogueModel("claude-sonnet-4", "Claude Sonnet 4", 200_000, 64_000, 1_747_872_000),
        CatalogueModel("gpt-5.6-sol", "GPT-5.6 Sol", 272_000, 128_000, 1_780_272_000, True, _GPT_FIELDS),
        CatalogueModel("gpt-5.6-terra", "GPT-5.6 Terra", 272_000, 128_000, 1_780_272_000, True, _GPT_FIELDS),
        CatalogueModel("gpt-5.6-luna", "GPT-5.6 Luna", 272_000, 128_000, 1_780_272_000, True, _GPT_FIELDS),
        CatalogueModel("glm-5", "GLM-5", 200_000, 64_000, 1_770_768_000, False, rate=0.5),
        CatalogueModel("minimax-m2.5", "MiniMax M2.5", 196_000, 64_000, 1_770_854_400, False, rate=0.15),
        CatalogueModel("minimax-m2.1", "MiniMax M2.1", 196_000, 64_000, 1_766_448_000, False, rate=0.15),
        CatalogueModel("qwen3-coder-next", "Qwen3 Coder Next", 256_000, 64_000, 1_770_163_200, False, rate=0.05),
        CatalogueModel("deepseek-3.2", "DeepSeek V3.2", 128_000, 64_000, 1_764_547_200, False),
        CatalogueModel("auto", "Auto", 200_000, 64_000, 1_757_894_400),
    )
)
_BUILT_IN_BY_ID = {model.id: model for model in BUILT_IN}
# Released since: what it can do comes from the live entry.
_RELEASED = {"claude-opus-5.5": 1_790_035_200} | {model.id: model.created for model in BUILT_IN}

# Claude models that exist or existed, so that a name for one of them is not a typing mistake.
KNOWN_CLAUDE: dict[str, frozenset[Version]] = {
    "opus": frozenset({(3, 0), (4, 0), (4, 1), (4, 5), (4, 6), (4, 7), (4, 8), (5, 0), (5, 5)}),
    "sonnet": frozenset({(3, 0), (3, 5), (3, 7), (4, 0), (4, 5), (4, 6), (4, 8), (5, 0), (5, 5)}),
    "haiku": frozenset({(3, 0), (3, 5), (4, 5), (5, 5)}),
    "fable": frozenset({(5, 0), (5, 1), (5, 2)}),
    "mythos": frozenset({(5, 0), (5, 1), (5, 2)}),
}
# The original sends every Sonnet, Opus and Haiku it does not know to the 4.5 of that family.
ORIGINAL_TARGET: Version = (4, 5)


def described(listed: ListedModel) -> CatalogueModel:
    """A live entry as a model of the catalogue; what Kiro does not say is as it is built in, or as usual."""
    known = _BUILT_IN_BY_ID.get(listed.id)
    schema = listed.fields_schema if listed.tells_fields or known is None else known.fields_schema
    return CatalogueModel(
        id=listed.id,
        name=listed.name or (known.name if known else listed.id),
        context_tokens=listed.context_tokens or (known.context_tokens if known else USUAL_CONTEXT_TOKENS),
        # Kiro is never told the client's limit: a smaller figure of its own is no reason to refuse what the real API takes.
        max_output_tokens=max(listed.max_output_tokens or 0, known.max_output_tokens if known else 0) or USUAL_OUTPUT_TOKENS,
        created=_RELEASED.get(listed.id, 0),
        images=listed.images if listed.images is not None else (known is None or known.images),
        fields_schema=schema,
        rate=listed.rate if listed.rate is not None else (known.rate if known else None),
    )


def parse_aliases(text: str) -> dict[str, str]:
    """`name=id, …` as a table, names in lower case. Raises ValueError saying what it must be."""
    aliases: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, found, target = (part.strip() for part in pair.partition("="))
        if not found or not name or not target or max(len(name), len(target)) > LONGEST_NAME or not pair.isprintable():
            raise ValueError("must be pairs like fast=claude-haiku-4.5, with commas between them")
        if name.lower() in aliases:
            raise ValueError(f"must name {name} once")
        aliases[name.lower()] = target
    return aliases


def resolve(name: str, catalogue: Iterable[CatalogueModel]) -> ResolvedModel:
    """The catalogue's model for a name; raises ModelNotFound."""
    known = catalogue if isinstance(catalogue, Catalogue) else Catalogue(catalogue)
    stands_for, meant = known.meaning(name)
    model = known.find(meant)
    if model is None:
        if known.passes_unknown and stands_for:
            return ResolvedModel(name, stands_for, USUAL_CONTEXT_TOKENS, MOST_OUTPUT_TOKENS)
        raise ModelNotFound(name)
    # A suffix that belongs to the id asks for nothing.
    asks = model.id.lower() != meant.exact
    return ResolvedModel(
        asked=name,
        used=model.id,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        images=model.images,
        fields_schema=model.fields_schema,
        thinking=asks and meant.thinking,
        effort=meant.effort if asks else None,
    )


def _choose_version(family: str, asked: Version | None, versions: list[Version]) -> Version | None:
    """The asked version, the newest for a bare family, or the original's mapping for a known version that is not there."""
    if not versions:
        return None
    newest = max(versions)
    if asked is None:
        return newest
    if asked in versions:
        return asked
    if asked not in KNOWN_CLAUDE[family]:
        return None
    lowest = max(asked, ORIGINAL_TARGET)
    return min((version for version in versions if version >= lowest), default=newest)
