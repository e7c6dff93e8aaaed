"""A request of the wrong shape, in the words of the real API: `PATH: TEXT`.

In: pydantic's report. Out: `RequestRejected` for the first problem. The real API is built on pydantic too, so most texts pass
as they are; what differs is said here. Source: the reference of the Messages API, section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from app.errors import RequestRejected

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_QUOTED_CHARACTERS = 200
NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"
# Fields that take one of several types: pydantic adds the name of the type to the path, the real API's paths have no such part.
_UNIONS = frozenset({"clear_tool_inputs", "container", "keep"})


def rejection(error: ValidationError) -> RequestRejected:
    """The first problem, as the client reads it."""
    first = error.errors(include_url=False)[0]
    location = [part for at, part in enumerate(first["loc"]) if at == 0 or first["loc"][at - 1] not in _UNIONS]
    if first["type"] == "union_tag_not_found":
        location.append(_discriminator(first))
    if _is_foreign_role(first):
        location, text = ["messages"], unexpected_role(first["input"])
    else:
        text = _text(first)
    path = ".".join(map(str, location))
    return RequestRejected(f"{path}: {text}" if path else text)


def unexpected_role(role: str) -> str:
    """What a role the API does not know is answered with."""
    return (
        f'Unexpected role "{quoted(role)}". Allowed roles are "user" or "assistant". For more information on input roles, '
        "visit https://docs.claude.com/en/api/messages#body-messages"
    )


def quoted(value: object) -> str:
    """A client's own value inside a message, cut when it is long."""
    text = str(value)
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}…"


def _text(problem: ErrorDetails) -> str:
    context: dict[str, Any] = problem.get("ctx", {})
    match problem["type"]:
        case "union_tag_not_found":
            return "Field required"
        case "union_tag_invalid":
            return (
                f"Input tag '{quoted(context['tag'])}' found using '{_discriminator(problem)}' does not match any of the "
                f"expected tags: {', '.join(sorted(context['expected_tags'].split(', ')))}"
            )
        case "model_type" | "model_attributes_type":
            return NOT_AN_OBJECT
        case "string_unicode":
            return "Input should be a valid string"
        case _:
            return problem["msg"]


def _discriminator(problem: ErrorDetails) -> str:
    return str(problem.get("ctx", {}).get("discriminator", "type")).strip("'")


def _is_foreign_role(problem: ErrorDetails) -> bool:
    location = problem["loc"]
    return (
        problem["type"] == "literal_error"
        and len(location) == 3
        and location[0] == "messages"
        and location[2] == "role"
        and isinstance(problem["input"], str)
    )
