from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.translate.leaks import Leak, LeakedCalls

TOOLS = {
    "Read": {"type": "object", "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}}},
    "Stop": None,
}
PARAMETERS = '<parameter name="path">/a b</parameter>\n<parameter name="limit">5</parameter>'
CALL = f'<invoke name="Read">\n{PARAMETERS}\n</invoke>'
READ = ("Read", {"path": "/a b", "limit": 5})


def watched(*pieces: str) -> tuple[str, str, list[Leak]]:
    """What was said at once, what is said at the end, and the calls."""
    leaks = LeakedCalls(TOOLS)
    said = "".join(leaks.feed(piece) for piece in pieces)
    return said, *leaks.finish()


@pytest.mark.parametrize("prefix", ["", "antml:"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_call_written_as_text_is_recovered(prefix: str, wrapped: bool) -> None:
    text = f"<function_calls>\n{CALL}\n</function_calls>" if wrapped else CALL
    text = text.replace("</", "\0").replace("<", f"<{prefix}").replace("\0", f"</{prefix}")
    assert watched(f"I will look.\n\n{text}") == ("I will look.\n\n", "", [READ])


def test_several_calls_and_the_text_after_them_are_kept() -> None:
    text = f'<function_calls>\n{CALL}\n<invoke name="Stop">\n</invoke>\n</function_calls>\nDone.'
    assert watched(text) == ("", "Done.", [READ, ("Stop", {})])


@given(st.lists(st.integers(0, 160)))
def test_any_cut_says_the_same(cuts: list[int]) -> None:
    text = f"Well,\n<b>bold</b> and\n{CALL}\n"
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert watched(*pieces) == watched(text) == ("Well,\n<b>bold</b> and\n", "", [READ])


@pytest.mark.parametrize(
    "text",
    [
        "a < b and <i>c</i>",
        CALL.replace("Read", "Unknown"),
        f"See: {CALL}",
        f"```\n{CALL}\n```",
        CALL.replace("</invoke>", ""),
        CALL.replace("</parameter>\n<", "</parameter> stray\n<"),
        f"{CALL}\n{CALL.replace('Read', 'Unknown')}",
        "<function_calls>",
        "<invo",
    ],
)
def test_what_is_no_well_formed_call_of_a_declared_tool_is_said_as_it_was_written(text: str) -> None:
    for pieces in ((text,), tuple(text)):
        said, rest, calls = watched(*pieces)
        assert (said + rest, calls) == (text, [])


def test_a_real_call_makes_everything_text() -> None:
    leaks = LeakedCalls(TOOLS)
    assert leaks.feed(CALL) == ""
    assert leaks.give_up() == CALL
    assert leaks.feed(CALL) == CALL


def test_without_tools_nothing_is_looked_for() -> None:
    assert LeakedCalls({}).feed(CALL) == CALL
