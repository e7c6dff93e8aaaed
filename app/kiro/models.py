"""What ListAvailableModels says of the models an account has.

In: its entries, whatever they hold. Out: a `ListedModel` for each that has an id. Never raises: every field may be absent, null
or of another type, and then counts as not said. What was read is kept as JSON of our own (`as_json`, `restore`).
Of a schema only what somebody reads is kept: which properties there are, and which words they take.
Source: protocol 1.12 and 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

LONGEST_ID = 128
MOST_MODELS = 500
SCHEMA_DEPTH = 5
LARGEST_NUMBER = 1e12


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model; None is what Kiro did not say.

    rate: credits for a usual request. fields_schema: of `additionalModelRequestFields`, None when it takes none
    or when that was not told. tells_fields: whether the listing told at all.
    """

    id: str
    name: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    images: bool | None = None
    rate: float | None = None
    fields_schema: Mapping[str, Any] | None = field(default=None, hash=False)
    tells_fields: bool = False

    def as_json(self) -> dict[str, Any]:
        """For storing; `restore` reads it."""
        return asdict(self)


def parse_listing(entries: Iterable[Mapping[str, Any]]) -> tuple[ListedModel, ...]:
    """The models of a whole listing, each once.

    A model without a schema takes no fields only where the listing shows the schema of another: older ones show none at all.
    """
    whole = list(entries)
    tells = any(isinstance(entry.get("additionalModelRequestFieldsSchema"), Mapping) for entry in whole)
    found: dict[str, ListedModel] = {}
    for entry in whole:
        id_ = entry.get("modelId")
        if isinstance(id_, str) and id_.strip() and len(id_) <= LONGEST_ID and len(found) < MOST_MODELS:
            found.setdefault(id_, _listed(id_, entry, tells=tells))
    return tuple(found.values())


def restore(stored: Mapping[str, Any]) -> ListedModel:
    """The model that `as_json` made JSON of."""
    return ListedModel(**{item.name: stored[item.name] for item in fields(ListedModel) if item.name in stored})


def _listed(id_: str, entry: Mapping[str, Any], *, tells: bool) -> ListedModel:
    limits = entry.get("tokenLimits")
    limits = limits if isinstance(limits, Mapping) else {}
    inputs = entry.get("supportedInputTypes")
    return ListedModel(
        id_,
        name=_text(entry.get("modelName")),
        context_tokens=_count(limits.get("maxInputTokens")),
        max_output_tokens=_count(limits.get("maxOutputTokens")),
        images="IMAGE" in inputs if isinstance(inputs, list) and inputs else None,
        rate=_number(entry.get("rateMultiplier")),
        fields_schema=_schema(entry.get("additionalModelRequestFieldsSchema"), SCHEMA_DEPTH),
        tells_fields=tells,
    )


def _schema(value: Any, depth: int) -> dict[str, Any] | None:
    if not isinstance(value, Mapping) or not depth:
        return None
    kept: dict[str, Any] = {}
    if isinstance(properties := value.get("properties"), Mapping):
        inner = {str(name): _schema(each, depth - 1) for name, each in properties.items()}
        kept["properties"] = {name: each for name, each in inner.items() if each is not None}
    if isinstance(words := value.get("enum"), list):
        kept["enum"] = [word for word in words if isinstance(word, str)]
    return kept


def _text(value: Any) -> str | None:
    return value.strip()[:LONGEST_ID] or None if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= LARGEST_NUMBER else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 1 else None
