"""The structural rules: what makes any sequence of turns one that Kiro accepts.

In: turns as the client sent them. Out: turns that alternate, begin and end with the user, never are empty, and in which every
call is answered exactly once in the very next turn. Nothing a person or a tool said is lost. The rules run in the order of
`legalise`; each is one function. What they make of a turn depends on what came before it, and on the results of its calls,
but on nothing later, so that a longer conversation begins as the shorter one did.
Source: protocol 3.3 and 4.4 (causes 1, 2, 4, 11, 12); failure corpus 1 to 9, 36, 37.

Fillers are neutral: they state a fact and never tell the model to do something.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

from app.translate.rules import Rules
from app.translate.turns import ASSISTANT, USER, Call, Result, Turn

FILLER_USER = "(no text)"
FILLER_RESULTS = "(tool results)"
FILLER_IMAGES = "(images)"
FILLER_START = "(the conversation begins here)"
FILLER_PREFILL = "(the reply above is unfinished)"
FILLER_ASSISTANT = " "
EMPTY_RESULT = "(empty result)"
UNANSWERED = "(no result: the tool was not run or its result was lost)"

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def legalise(turns: list[Turn], rules: Rules) -> list[Turn]:
    """The whole conversation, the last turn being the user's current one."""
    turns = merge_neighbours(turns, rules)
    turns = begin_with_user(turns, rules)
    turns = end_with_user(turns, rules)
    lift_images(turns, rules)
    name_calls(turns, rules)
    pair(turns, rules)
    fill(turns, rules)
    return turns


def merge_neighbours(turns: list[Turn], rules: Rules) -> list[Turn]:
    """Neighbouring turns of one role become one."""
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role and rules.fires("merge_turns"):
            merged[-1].absorb(turn)
        else:
            merged.append(turn)
    return merged


def begin_with_user(turns: list[Turn], rules: Rules) -> list[Turn]:
    """A user turn comes first."""
    if turns and turns[0].role == ASSISTANT and rules.fires("user_first"):
        return [Turn(USER, [FILLER_START]), *turns]
    return turns


def end_with_user(turns: list[Turn], rules: Rules) -> list[Turn]:
    """A prefill stays once in the history, one that says nothing does not; what follows it is neutral."""
    if not turns:
        return [Turn(USER)]
    last = turns[-1]
    if last.role == ASSISTANT and rules.fires("prefill"):
        if len(turns) > 1 and not (last.text.strip() or last.calls or last.images):
            return turns[:-1]
        return [*turns, Turn(USER, [FILLER_PREFILL])]
    return turns


def lift_images(turns: list[Turn], rules: Rules) -> None:
    """Images only have a place in a user turn; those of an assistant's document go to the turn after it."""
    for turn, after in pairwise(turns):
        if turn.role == ASSISTANT and turn.images:
            rules.chose("assistant_document")
            after.images = turn.images + after.images
            turn.images = []


def name_calls(turns: list[Turn], rules: Rules) -> None:
    """Every call gets an id that is legal and used once; its result follows it."""
    used: set[str] = set()
    for at, turn in enumerate(turns):
        results = turns[at + 1].results if at + 1 < len(turns) else []
        said: dict[str, Call] = {}
        kept = []
        for call in turn.calls:
            id_, twin = call.id, said.get(call.id)
            if twin is not None and (twin.name, twin.input) == (call.name, call.input):
                if rules.fires("duplicate_call"):
                    continue
            elif (id_ in used or not _LEGAL_ID.fullmatch(id_)) and rules.fires("call_id"):
                call.id = _new_id(id_, used)
                # Of two calls with one id, the first result is the first one's.
                for result in [result for result in results if result.id == id_][twin is not None :]:
                    result.id = call.id
            said.setdefault(id_, call)
            used.add(call.id)
            kept.append(call)
        turn.calls = kept


def pair(turns: list[Turn], rules: Rules) -> None:
    """Each call has exactly one result in the turn right after it, and each result has its call there."""
    for at, turn in enumerate(turns):
        before = turns[at - 1] if at else None
        called = {call.id for call in before.calls} if before is not None else set()
        if not called and not turn.results:
            continue
        kept: list[Result] = []
        answered: dict[str, Result] = {}
        for result in turn.results:
            first = answered.get(result.id)
            if first is not None and rules.fires("duplicate_result"):
                if result.text != first.text:
                    turn.texts.append(_as_text(result))
                continue
            if result.id not in called and rules.fires("orphan_result"):
                turn.texts.append(_as_text(result))
                continue
            answered.setdefault(result.id, result)
            kept.append(result)
        for call in before.calls if before is not None else ():
            if call.id not in answered and rules.fires("unanswered_call"):
                kept.append(Result(call.id, is_error=True, texts=[UNANSWERED]))
        turn.results = kept


def fill(turns: list[Turn], rules: Rules) -> None:
    """No turn and no result is empty."""
    for turn in turns:
        for result in turn.results:
            if not result.text.strip():
                rules.chose("empty_result")
                result.texts = [EMPTY_RESULT]
        if turn.text.strip():
            continue
        if turn.role == ASSISTANT:
            if not turn.text and rules.fires("empty_assistant"):
                turn.texts = [FILLER_ASSISTANT]
        elif rules.fires("empty_user"):
            turn.texts = [FILLER_RESULTS if turn.results else FILLER_IMAGES if turn.images else FILLER_USER]


def _as_text(result: Result) -> str:
    """A result whose call is gone, as after a compaction."""
    return f"<tool_result>\n{result.text or EMPTY_RESULT}\n</tool_result>"


def _new_id(id_: str, used: set[str]) -> str:
    """The same for the same conversation: no chance, so that a prefix of it stays byte for byte what it was."""
    salt = 0
    while True:
        digest = hashlib.sha256(f"{id_}\0{salt}".encode("utf-8", "surrogatepass")).hexdigest()
        if (new := f"tooluse_{digest[:22]}") not in used:
            return new
        salt += 1
