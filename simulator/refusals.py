"""The error answers of Kiro, word for word. Source: protocol 4.1 to 4.3."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer. error_type: goes into `x-amzn-errortype`."""

    status: int
    message: str
    reason: str | None = None
    error_type: str = "ValidationException"


IMPROPERLY_FORMED = Refusal(400, "Improperly formed request.")
INVALID_TOOL_USE = Refusal(400, "Invalid tool use format.", "REQUEST_BODY_INVALID")
BODY_NOT_JSON = Refusal(400, "The request body is not valid JSON.", "REQUEST_BODY_INVALID_JSON")
BODY_INVALID = Refusal(400, "Improperly formed request.", "REQUEST_BODY_INVALID")
TOOL_CONFIG_MISSING = Refusal(400, "Improperly formed request.", "TOOL_CONFIG_MISSING")
SCHEMA_INVALID = Refusal(400, "Improperly formed request.", "TOOL_SCHEMA_INVALID")
INVALID_MODEL = Refusal(400, "Invalid model. Please select a different model to continue.", "INVALID_MODEL_ID")
INPUT_TOO_LONG = Refusal(400, "Input is too long.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD")
CONTEXT_LIMIT = Refusal(413, "Context limit reached. The conversation exceeds this model's capacity.", "PROMPT_TOO_LONG")
SIGNATURE_INVALID = Refusal(400, "Invalid signature in reasoning content.", "THINKING_SIGNATURE_INVALID")
FIELDS_UNSUPPORTED = Refusal(
    400, "additionalModelRequestFields is not supported for this model", None, "BedrockValidationError"
)
PROFILE_REQUIRED = Refusal(400, "profileArn is required for this request.")
PROFILE_INVALID = Refusal(400, "Invalid profileArn")
CREDENTIAL_INVALID = Refusal(400, "The provided credential is invalid.")
BEARER_INVALID = Refusal(403, "The bearer token included in the request is invalid.", None, "AccessDeniedException")
NOT_AUTHORIZED = Refusal(403, "User is not authorized to make this call.", None, "AccessDeniedException")
TOKEN_MISSING = Refusal(403, "Missing Authentication Token", None, "MissingAuthenticationTokenException")
LIMIT_REACHED = Refusal(402, "You have reached the limit.", "MONTHLY_REQUEST_COUNT", "ServiceQuotaExceededException")
BUILDER_ID_UNSUPPORTED = Refusal(403, "AWS Builder ID is not supported for this operation.", None, "AccessDeniedException")
UNKNOWN_OPERATION = Refusal(404, "The requested operation is not recognized by the service.", None, "UnknownOperationException")
