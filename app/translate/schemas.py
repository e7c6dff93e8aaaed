"""Tool schemas as Kiro accepts them.

In: any JSON Schema a client declares, even a broken or recursive one. Out: an object schema built from the keywords Kiro is
known to take: no `$ref`, no union at the top, no null anywhere, no empty `required`. What cannot be expressed is left out; the
model then sees a looser schema, never a refused request. Property names are data and are never read as keywords.
Source: protocol 3.6 (ZYP's rules on the q hosts, August 2026), cause 5 of 4.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean"})
INT32 = 2**31 - 1
# Inlining references can grow a schema exponentially; past this many nodes a reference stands for "anything".
MAX_NODES = 4_000
MAX_DEPTH = 40
_UNIONS = ("anyOf", "oneOf", "allOf")
_STRICT = frozenset({"type", "title", "description", "properties", "required", "items", "enum"})


def clean_schema(schema: object, *, strict: bool = False) -> Schema:
    """The schema of a tool's arguments, always an object schema.

    strict: keep only the keywords no host ever refused, for a second attempt after a refusal.
    """
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    cleaned = _Cleaner(schema, strict).clean(schema, ())
    return _object_at_the_top(cleaned)


def without_nulls(value: Any) -> Any:
    """JSON data without null values and empty keys; a null inside a list becomes an empty string, to keep positions."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None and key != ""}
    if isinstance(value, list):
        return ["" if item is None else without_nulls(item) for item in value]
    return value


def has_nulls(value: Any) -> bool:
    """Whether `without_nulls` would change something."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "" in item:
                return True
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif item is None and item is not value:
            return True
    return False


class _Cleaner:
    """One walk over one schema; counts nodes, and resolves references against the whole document."""

    def __init__(self, root: Schema, strict: bool) -> None:
        self._root = root
        self._strict = strict
        self._nodes = 0
        self._depth = 0

    def clean(self, schema: object, references: tuple[str, ...]) -> Schema:
        """A schema in a schema's position. references: those being inlined around it, so that a cycle is seen."""
        self._nodes += 1
        if not isinstance(schema, dict) or self._depth >= MAX_DEPTH:
            return {}  # `true`, null and nonsense, or deeper than any tool needs: anything goes
        schema, references = self._inlined(schema, references)
        self._depth += 1
        cleaned: Schema = {}
        for keyword, value in schema.items():
            if keyword in _KEYWORDS and not (self._strict and keyword not in _STRICT):
                kept = _KEYWORDS[keyword](self, value, references)
                if kept is not None:
                    cleaned[keyword] = kept
        self._depth -= 1
        if schema.get("const") is not None and "enum" not in cleaned:
            cleaned["enum"] = [without_nulls(schema["const"])]
        return _one_variant(_known_required(cleaned))

    def _inlined(self, schema: Schema, references: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """A schema without `$ref`, and the references that are inlined from here on."""
        while isinstance(schema.get("$ref"), str):
            reference = schema["$ref"]
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            if reference in references:
                return {"type": "object"} | beside, references
            target = self._target(reference)
            if target is None or self._nodes > MAX_NODES or len(references) >= MAX_DEPTH:
                return beside, references
            references = (*references, reference)
            schema = _merged(target, beside)
        return schema, references

    def _target(self, reference: str) -> Schema | None:
        """What a JSON pointer inside this document points to."""
        if not reference.startswith("#"):
            return None
        node: object = self._root
        for part in reference[1:].split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
                node = node[int(part)]
            else:
                return None
        return node if isinstance(node, dict) else None

    # -- keywords: the value to keep, or None --

    def type(self, value: object, _: tuple[str, ...]) -> object:
        if isinstance(value, list):
            names = [name for name in value if isinstance(name, str) and name in TYPES]
            return names[0] if len(names) == 1 else names or None
        return value if isinstance(value, str) and value in TYPES else None

    def text(self, value: object, _: tuple[str, ...]) -> object:
        return value if isinstance(value, str) and value else None

    def pattern(self, value: object, _: tuple[str, ...]) -> object:
        """Lookarounds are dropped: they are refused by grammar-based decoders."""
        return value if isinstance(value, str) and "(?" not in value else None

    def enum(self, value: object, _: tuple[str, ...]) -> object:
        return [without_nulls(item) for item in value if item is not None] or None if isinstance(value, list) else None

    def bound(self, value: object, _: tuple[str, ...]) -> object:
        """Observed (ZYP): bounds outside int32 are refused."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number and -INT32 - 1 <= value <= INT32 else None  # type: ignore[operator]

    def flag(self, value: object, _: tuple[str, ...]) -> object:
        return value if isinstance(value, bool) else None

    def data(self, value: object, _: tuple[str, ...]) -> object:
        return None if value is None or has_nulls(value) else value

    def properties(self, value: object, references: tuple[str, ...]) -> object:
        if not isinstance(value, dict):
            return {}
        return {name: self.clean(schema, references) for name, schema in value.items() if name}

    def required(self, value: object, _: tuple[str, ...]) -> object:
        return list(dict.fromkeys(name for name in value if isinstance(name, str))) if isinstance(value, list) else None

    def items(self, value: object, references: tuple[str, ...]) -> object:
        if isinstance(value, list):  # a tuple, position by position: any of them anywhere
            variants = [self.clean(item, references) for item in value]
            return variants[0] if len(variants) == 1 else {"anyOf": variants} if variants and not self._strict else {}
        return self.clean(value, references)

    def union(self, value: object, references: tuple[str, ...]) -> object:
        if not isinstance(value, list):
            return None
        variants = [item for item in value if not (isinstance(item, dict) and item.get("type") == "null")]
        return [self.clean(item, references) for item in variants] or None


_Keyword = Callable[[_Cleaner, object, tuple[str, ...]], object]

_KEYWORDS: dict[str, _Keyword] = {
    "type": _Cleaner.type,
    "title": _Cleaner.text,
    "description": _Cleaner.text,
    "enum": _Cleaner.enum,
    "default": _Cleaner.data,
    "format": _Cleaner.text,
    "pattern": _Cleaner.pattern,
    "minimum": _Cleaner.bound,
    "maximum": _Cleaner.bound,
    "multipleOf": _Cleaner.bound,
    "minLength": _Cleaner.bound,
    "maxLength": _Cleaner.bound,
    "minItems": _Cleaner.bound,
    "maxItems": _Cleaner.bound,
    "uniqueItems": _Cleaner.flag,
    "properties": _Cleaner.properties,
    "required": _Cleaner.required,
    "items": _Cleaner.items,
    "anyOf": _Cleaner.union,
    "oneOf": _Cleaner.union,
    "allOf": _Cleaner.union,
}


def _known_required(schema: Schema) -> Schema:
    """`required` names only what `properties` declares, and is left out when that is nothing."""
    if "required" in schema:
        properties = schema.get("properties", {})
        schema["required"] = [name for name in schema["required"] if name in properties]
        if not schema["required"]:
            del schema["required"]
    return schema


def _one_variant(schema: Schema) -> Schema:
    """A union with one member left, as of an optional value, is that member."""
    for union in _UNIONS:
        if len(schema.get(union, ())) == 1:
            beside = {key: value for key, value in schema.items() if key != union}
            schema = _merged(schema[union][0], beside)
    return schema


def _merged(base: Schema, beside: Schema) -> Schema:
    """Both of two schemas, as far as one can say it: properties and what is required add up, else `beside` wins."""
    merged = base | beside
    if isinstance(base.get("properties"), dict) and isinstance(beside.get("properties"), dict):
        merged["properties"] = base["properties"] | beside["properties"]
    if isinstance(base.get("required"), list) and isinstance(beside.get("required"), list):
        merged["required"] = base["required"] + [name for name in beside["required"] if name not in base["required"]]
    return merged


def _object_at_the_top(schema: Schema) -> Schema:
    """The arguments of a call are an object: unions at the top are merged into one, other types are wrapped."""
    schema = _flatten(schema)
    if schema.get("type", "object") != "object" and "properties" not in schema:
        return {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    schema = {"type": "object", **{key: value for key, value in schema.items() if key != "type"}}
    schema.setdefault("properties", {})
    return _known_required(schema)


def _flatten(schema: Schema) -> Schema:
    """Merge the unions at the top: all properties; required is what every alternative requires, or any part of `allOf`."""
    for union in _UNIONS:
        variants = [_flatten(variant) for variant in schema.get(union, ())]
        schema = {key: value for key, value in schema.items() if key != union}
        objects = [variant for variant in variants if variant.get("type", "object") == "object"]
        if not objects:
            continue
        properties = dict(schema.get("properties", {}))
        for variant in objects:
            for name, value in variant.get("properties", {}).items():
                properties.setdefault(name, value)
        demands = [set(variant.get("required", ())) for variant in objects]
        demanded = set.union(*demands) if union == "allOf" else set.intersection(*demands)
        required = [name for name in properties if name in demanded or name in schema.get("required", ())]
        schema = {**schema, "type": "object", "properties": properties, "required": required}
        if not required:
            del schema["required"]
        description = next((variant["description"] for variant in objects if "description" in variant), None)
        if description is not None:
            schema.setdefault("description", description)
    return schema
