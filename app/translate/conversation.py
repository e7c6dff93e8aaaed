"""Which upstream conversation a request belongs to.

In: the request and what tells one client session from another. Out: `conversationId` and `agentContinuationId`, both UUIDv5.
The same session gives the same ids in every process, so that upstream's prompt cache can hit; there is no clock and no
randomness. Source: protocol 3.3 (`metadata.user_id`), failure corpus 67 and 68.
"""

from __future__ import annotations

import re
import uuid

import orjson

from app.anthropic.blocks import ContentBlock
from app.anthropic.request import MessageRequest

NAMESPACE = uuid.UUID("6d1f2c1e-6a35-5a0e-9f0e-2f6b3f3f6b1a")
_OLD_SESSION = re.compile(r"session_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
# Claude Code's first system block is a metadata line that changes between requests; it must not change the conversation.
CHANGING_LINE = "x-anthropic-billing-header:"
ENDS_CHARACTERS = 4_096


def conversation_ids(request: MessageRequest, *, session: str | None, key_id: str) -> tuple[str, str]:
    """Ids of the conversation and of its current continuation.

    session: the client's session header, if any; key_id: what tells one client key from another.
    """
    conversation = uuid.uuid5(NAMESPACE, f"{key_id}\n{session or _session_of(request.metadata_user_id) or _opening(request)}")
    return str(conversation), str(uuid.uuid5(conversation, str(_last_human_turn(request))))


def names_session(request: MessageRequest, session: str | None) -> bool:
    """Whether the client says which session a request belongs to; else its opening words stand for one."""
    return bool(session or _session_of(request.metadata_user_id))


def _session_of(user_id: str | None) -> str | None:
    """The session inside `metadata.user_id`: a JSON text with `session_id`, or `…_session_UUID`."""
    if not user_id:
        return None
    if user_id.lstrip().startswith("{"):
        try:
            session = orjson.loads(user_id).get("session_id")
        except orjson.JSONDecodeError:
            return None
        return session if isinstance(session, str) and session else None
    found = _OLD_SESSION.search(user_id)
    return found.group(1).lower() if found else None


def _opening(request: MessageRequest) -> str:
    """What stays the same while a conversation without a session id grows: its system text and first message.

    Cache marks do not: clients move them on to the newest message.
    """
    system = [block.text for block in request.system if not block.text.startswith(CHANGING_LINE)]
    first = [_told_apart(block) for block in request.messages[0].content]
    return "\n".join([*system, *first])


def _told_apart(block: ContentBlock) -> str:
    """Enough of a block to tell it from another; megabytes of base64 would keep the event loop busy for nothing."""
    data = getattr(getattr(block, "source", None), "data", None)
    if isinstance(data, str) and len(data) > 2 * ENDS_CHARACTERS:
        return f"{block.type} {len(data)} {data[:ENDS_CHARACTERS]} {data[-ENDS_CHARACTERS:]}"
    return str(block.model_dump(exclude={"cache_control"}))


def _last_human_turn(request: MessageRequest) -> int:
    """Index of the last message a person wrote; tool results and reminders belong to the turn before them."""
    for index in range(len(request.messages) - 1, -1, -1):
        message = request.messages[index]
        if message.role == "user" and any(block.type != "tool_result" for block in message.content):
            if index and any(block.type == "tool_result" for block in message.content):
                continue
            return index
    return 0
