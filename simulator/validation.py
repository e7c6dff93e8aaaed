"""Which chat requests are refused, by which rule, and with which answer.

In: a chat call. Out: the first broken rule and its answer, or nothing. Each rule looks only at what it is about, so that
with one rule switched off (option `rules_off`) a request that broke only that rule passes.
Source: protocol 4.4, whose fourteen causes are CAUSES, in its order; MORE_RULES are of 3.4 and 4.3.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.chat import ChatCall
from simulator.options import Options
from simulator.refusals import Refusal
from simulator.rules import account, media, tools, turns, values

Rule = Callable[[ChatCall], Refusal | None]

CAUSES: dict[str, Rule] = {
    "empty_content": turns.empty_content,
    "tool_pairing": turns.tool_pairing,
    "tools_declared": turns.tools_declared,
    "alternation": turns.alternation,
    "tool_specification": tools.tool_specification,
    "tool_input": tools.tool_input,
    "field_values": values.field_values,
    "profile": account.profile,
    "media": media.media,
    "dotted_model": account.dotted_model,
    "consecutive_assistant": turns.consecutive_assistant,
    "empty_turn": turns.empty_turn,
    "plan": account.plan,
    "body_size": values.body_size,
}
MORE_RULES: dict[str, Rule] = {
    "known_model": account.known_model,
    "model_fields": account.model_fields,
    "thinking_signature": account.thinking_signature,
    "context_window": account.context_window,
    "field_size": account.field_size,
}
ALL_RULES = {**CAUSES, **MORE_RULES}


def validate(call: ChatCall) -> tuple[str, Refusal] | None:
    """The name of the first broken rule and its answer; None when the request is sound."""
    for name, rule in ALL_RULES.items():
        if name not in call.options.rules_off and (refusal := rule(call)) is not None:
            return name, refusal
    return None


def check_names(options: Options) -> None:
    """Raise ValueError when a rule is switched off that does not exist: it would switch off nothing."""
    if unknown := set(options.rules_off) - set(ALL_RULES):
        raise ValueError(f"unknown rules: {', '.join(sorted(unknown))}; there are {', '.join(ALL_RULES)}")
