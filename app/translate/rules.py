"""The named rules that make any Anthropic conversation legal upstream, and which of them one request needed.

In: the names of rules to leave out (for tests that prove each one is needed). Out: the names that fired, in the order in which
they did, for the request record. A rule asks `fires(name)` exactly when it would change something.
CHOICES are the changes Kiro does not ask for; each says its reason. They are recorded like rules but cannot be left out.
Source: protocol 4.4 (what Kiro refuses) and the shapes that broke gateways of this kind.
"""

from __future__ import annotations

from collections.abc import Collection

RULES: dict[str, str] = {
    # text and turns
    "system_reminder": "a system message among the messages becomes a reminder in the user turn beside it",
    "empty_text": "text blocks that are empty or only white space are left out",
    "merge_turns": "neighbouring turns of one role become one",
    "user_first": "a history that starts with the assistant gets a neutral user turn before it",
    "prefill": "a final assistant turn stays in the history and a neutral user turn follows it",
    "empty_user": "a user turn without text gets a neutral filler",
    "empty_assistant": "an assistant turn without text gets a single space",
    # calls and results
    "call_id": "ids of calls that are too long, ill-formed or used before are replaced",
    "duplicate_call": "a call repeated inside one turn is kept once",
    "duplicate_result": "a second result for one call is left out, or becomes text when it says something else",
    "orphan_result": "a result without its call becomes text",
    "unanswered_call": "a call without a result gets one that says so",
    "call_input": "empty keys and nulls are left out of a call's arguments",
    # tools
    "tool_stub": "a tool the history uses but the request does not declare is declared without arguments",
    "tool_name": "a tool name that is too long, ill-formed or equal to another ignoring case is mapped",
    "duplicate_tool": "a tool declared twice is sent once",
    "tool_description": "an empty tool description is filled",
    "long_description": "a long tool description moves to the system text and leaves a pointer",
    "tool_schema": "a tool schema is simplified to what Kiro accepts",
    # images
    "image_format": "an image is sent as the format its bytes are in",
}

CHOICES: dict[str, str] = {
    "billing_line": "a client's changing billing line is left out of the system text: no prompt cache would ever hit",
    "empty_result": "a result without content gets a neutral filler: models take an empty one for a failure",
    "tool_image": "images in a tool result move to the user turn: a result of Kiro's holds text only",
    "assistant_document": "images of an assistant's document move to the user turn after it: there is no place for them before",
    "document_text": "a text document becomes text: Kiro's own documents are few and unproven",
    "history_thinking": "thinking is left out of the history: Kiro refuses what it did not sign for this very account",
    "model_without_images": "an image becomes a note: this model reads none",
    "server_tool": "a tool that nobody behind Kiro runs is left out: the model would call it in vain",
    "deferred_tool": "a deferred tool that nothing has loaded yet is left out: its client says so",
    "tool_change": "a tool added or removed among the messages is declared or left out: Kiro knows one list only",
    "tool_examples": "examples of a tool's arguments move to its description: Kiro has no field for them",
    "tool_choice": "a demanded or forbidden tool call is put into words: Kiro has no field for it",
    "output_format": "a demanded format of the answer is put into words: Kiro has no field for it",
    "thinking_tags": "thinking is asked for with tags in the system text: the model has no field for it",
}


class Rules:
    """The rules and choices of one request."""

    def __init__(self, off: Collection[str] = ()) -> None:
        unknown = set(off) - RULES.keys()
        if unknown:
            raise KeyError(f"no such rules: {sorted(unknown)}")
        self._off = frozenset(off)
        self._fired: dict[str, None] = {}

    def fires(self, name: str) -> bool:
        """Whether the rule may act now; remembers that it did."""
        if name in self._off:
            return False
        assert name in RULES, name
        self._fired[name] = None
        return True

    def chose(self, name: str) -> None:
        """Remember that a choice was made."""
        assert name in CHOICES, name
        self._fired[name] = None

    @property
    def fired(self) -> list[str]:
        """Names of the rules and choices that acted, each once, in order."""
        return list(self._fired)
