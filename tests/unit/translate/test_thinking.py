from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.translate.thinking import CLOSE, OPEN, Kind, TagSplitter
from tests.unit.translate.replies import cut

ALPHABET = st.sampled_from(
    [
        "<thinking>",
        "</thinking>",
        "<thinking>\n",
        "\n</thinking>\n\n",
        "a",
        " ",
        "\n",
        "`",
        "```",
        '"',
        "<",
        "</",
        "thinking>",
        "é",
        ".",
    ]
)
REPLIES = st.lists(ALPHABET, max_size=12).map("".join)


def split(*pieces: str) -> list[tuple[str, str]]:
    """Sections of a reply: text and thinking, joined where they are not apart."""
    splitter = TagSplitter()
    sections: list[tuple[str, str]] = []
    is_new = True
    for kind, text in [piece for part in pieces for piece in splitter.feed(part)] + list(splitter.flush()):
        if kind is Kind.END:
            is_new = True
        elif not is_new and sections[-1][0] == kind.value:
            sections[-1] = (kind.value, sections[-1][1] + text)
        else:
            sections.append((kind.value, text))
            is_new = False
    return sections


@settings(max_examples=500)
@given(st.data(), REPLIES)
def test_any_cut_gives_the_same_pieces(data: st.DataObject, whole: str) -> None:
    assert split(*data.draw(st.composite(cut)(whole))) == split(*whole) == split(whole)


@settings(max_examples=500)
@given(REPLIES)
def test_nothing_but_tags_and_white_space_is_lost(whole: str) -> None:
    splitter = TagSplitter()
    pieces = [*splitter.feed(whole), *splitter.flush()]
    sections = sum(kind is Kind.END for kind, _ in pieces)
    left = "".join("".join(text for _, text in pieces).split())
    missing = len("".join(whole.split())) - len(left)
    # The last section may have ended without its tag.
    assert missing in {sections * len(OPEN) + closed * len(CLOSE) for closed in (sections, max(sections - 1, 0))}


@settings(max_examples=300)
@given(REPLIES.filter(lambda whole: "<thinking>" not in whole))
def test_text_without_a_tag_stays_as_it_is(whole: str) -> None:
    assert "".join(text for _, text in split(whole)) == (whole if whole.strip() else "")


@pytest.mark.parametrize(
    ("whole", "sections"),
    [
        ("<thinking>\nHm.\n</thinking>\n\nYes", [("thinking", "Hm.\n"), ("text", "Yes")]),
        ("\n\n<thinking>Hm</thinking>Yes", [("thinking", "Hm"), ("text", "Yes")]),
        (
            "A\n<thinking>b</thinking>\n\nC <thinking>d</thinking>",
            [("text", "A\n"), ("thinking", "b"), ("text", "C "), ("thinking", "d")],
        ),
        ("<thinking>open", [("thinking", "open")]),
        ("Use `<thinking>` here", [("text", "Use `<thinking>` here")]),
        ("```\n<thinking>\n```\nx", [("text", "```\n<thinking>\n```\nx")]),
        ("word<thinking>x", [("text", "word<thinking>x")]),
        ("<thinking>say `</thinking>` twice</thinking>\n\nB", [("thinking", "say `</thinking>` twice"), ("text", "B")]),
        ("A <thinking></thinking> B", [("text", "A "), ("text", "B")]),
        ("A </thinking> B", [("text", "A </thinking> B")]),
        ("   ", []),
        ("  indented", [("text", "  indented")]),
    ],
)  # fmt: skip
def test_what_is_a_section_and_what_only_talks_of_one(whole: str, sections: list[tuple[str, str]]) -> None:
    assert split(whole) == sections


def test_text_is_held_back_only_while_it_may_be_a_tag() -> None:
    splitter = TagSplitter()
    assert list(splitter.feed("Hello <thin")) == [(Kind.TEXT, "Hello ")]
    assert list(splitter.feed("g")) == [(Kind.TEXT, "<thing")]
