"""Rules about who calls what: profile ARN, plan, model and its own fields. Source: protocol 1.8, 3.4, 4.3, 4.4 (8, 10, 13)."""

from __future__ import annotations

import re
from typing import Any

from simulator import refusals
from simulator.chat import ASSISTANT, ChatCall, input_tokens, mapping, texts
from simulator.refusals import Refusal

NOT_DOTTED = re.compile(r"\d-\d|_")
GENERAL_ANSWER_FROM_OPUS = 4.7


def profile(call: ChatCall) -> Refusal | None:
    """A profile ARN of the account, in the region of the host. API keys send none, which the runtime host never accepts."""
    arn = mapping(call.body).get("profileArn")
    own = call.account.profile_arns
    if not own and (arn or call.service != "runtime"):
        return None if arn is None else refusals.BEARER_INVALID
    if not arn:
        return refusals.PROFILE_REQUIRED
    parts = arn.split(":") if isinstance(arn, str) else []
    if len(parts) < 6 or parts[3] != call.region:
        return refusals.IMPROPERLY_FORMED
    return None if arn in own else refusals.BEARER_INVALID


def dotted_model(call: ChatCall) -> Refusal | None:
    """The runtime host knows only ids with dotted versions."""
    return refusals.IMPROPERLY_FORMED if call.service == "runtime" and NOT_DOTTED.search(call.model_id) else None


def plan(call: ChatCall) -> Refusal | None:
    """The newest Opus models on a free plan get the general answer, not the one about models."""
    version = call.model.opus_version if call.model else None
    too_good = call.account.plan == "free" and version is not None and version >= GENERAL_ANSWER_FROM_OPUS
    return refusals.IMPROPERLY_FORMED if too_good else None


def known_model(call: ChatCall) -> Refusal | None:
    """The model exists, and the plan has it."""
    if not call.model_id:  # `field_values` says what is missing
        return None
    version = call.model.opus_version if call.model else None
    older_opus_for_free = call.account.plan == "free" and version is not None and version < GENERAL_ANSWER_FROM_OPUS
    return refusals.INVALID_MODEL if call.model is None or older_opus_for_free else None


def model_fields(call: ChatCall) -> Refusal | None:
    """`additionalModelRequestFields` only for a model with a schema, and by that schema."""
    if call.model_fields is None or call.model is None:
        return None
    if call.model.fields is None:
        return refusals.FIELDS_UNSUPPORTED
    wrong = _breaks(call.model.fields, call.model_fields, "additionalModelRequestFields")
    message = f"Invalid additionalModelRequestFields: {wrong}"
    return Refusal(400, message, None, "BedrockValidationError") if wrong else None


def thinking_signature(call: ChatCall) -> Refusal | None:
    """Thinking in the history is in the nested form, with a signature this account got from this model."""
    for kind, message in call.turns:
        if kind != ASSISTANT or "reasoningContent" not in message:
            continue
        reasoning = mapping(message["reasoningContent"])
        if set(reasoning) == {"redactedContent"}:
            continue
        if set(reasoning) != {"reasoningText"}:
            return refusals.BODY_INVALID
        if mapping(reasoning["reasoningText"]).get("signature") not in call.signatures:
            return refusals.SIGNATURE_INVALID
    return None


def context_window(call: ChatCall) -> Refusal | None:
    """The prompt fits into the model's window."""
    if call.model is None or input_tokens(call) <= call.model.context_tokens:
        return None
    return refusals.CONTEXT_LIMIT if call.service == "runtime" else refusals.INPUT_TOO_LONG


def field_size(call: ChatCall) -> Refusal | None:
    """No single text is longer than the option `field_bytes` says, where it says anything."""
    limit = call.options.field_bytes
    return refusals.INPUT_TOO_LONG if limit and any(len(piece.encode()) > limit for piece in texts(call)) else None


def _breaks(schema: dict[str, Any], value: Any, name: str) -> str | None:
    """What is wrong with `value`; the little JSON schema that the catalogue uses."""
    kind = schema["type"]
    right_type: type = {"object": dict, "string": str, "integer": int}[kind]
    if not isinstance(value, right_type) or isinstance(value, bool):
        return f"property '{name}' is not of type {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"property '{name}' is not one of {schema['enum']}"
    if kind == "integer" and not schema["minimum"] <= value <= schema["maximum"]:
        return f"property '{name}' is not between {schema['minimum']} and {schema['maximum']}"
    for key, part in mapping(value).items():
        if key not in schema["properties"]:
            return f"property '{key}' is not defined in the schema"
        if (wrong := _breaks(schema["properties"][key], part, key)) is not None:
            return wrong
    return None
