from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.translate.history import (
    EMPTY_RESULT,
    FILLER_IMAGES,
    FILLER_PREFILL,
    FILLER_RESULTS,
    FILLER_START,
    FILLER_USER,
    UNANSWERED,
    legalise,
)
from app.translate.rules import Rules
from app.translate.turns import ASSISTANT, USER, Call, Image, Result, Turn

DOT = Image("png", "x")


def asks(*ids: str, texts: list[str] | None = None) -> Turn:
    return Turn(ASSISTANT, texts or [], calls=[Call(id_, "Bash", {}) for id_ in ids])


def answers(*results: Result, texts: list[str] | None = None) -> Turn:
    return Turn(USER, texts or [], results=list(results))


def legal(*turns: Turn) -> list[Turn]:
    return legalise(list(turns), Rules())


def fired(*turns: Turn) -> list[str]:
    rules = Rules()
    legalise(list(turns), rules)
    return rules.fired


IDS = st.sampled_from(["a", "b", "odd id", "x" * 80])


@st.composite
def _turns(draw: st.DrawFn) -> list[Turn]:
    """Turns nobody would send, in any order."""
    turns = []
    for _ in range(draw(st.integers(0, 7))):
        turn = Turn(draw(st.sampled_from([USER, ASSISTANT])), draw(st.lists(st.sampled_from(["Hi", "", " "]), max_size=2)))
        turn.images = [DOT] * draw(st.integers(0, 1))
        if turn.role == ASSISTANT:
            turn.calls = [Call(id_, "Bash", {"n": draw(st.integers(0, 1))}) for id_ in draw(st.lists(IDS, max_size=3))]
        else:
            turn.results = [Result(id_, texts=[draw(st.sampled_from(["ok", ""]))]) for id_ in draw(st.lists(IDS, max_size=3))]
        turns.append(turn)
    return turns


@settings(max_examples=400)
@given(_turns())
def test_any_turns_become_a_legal_conversation(turns: list[Turn]) -> None:
    done = legal(*turns)
    assert [turn.role for turn in done] == [USER, ASSISTANT] * (len(done) // 2) + [USER]
    before: list[str] = []
    seen: set[str] = set()
    for turn in done:
        assert turn.text
        assert sorted(result.id for result in turn.results) == sorted(before)
        assert all(result.text.strip() for result in turn.results)
        before = [call.id for call in turn.calls]
        assert len(set(before)) == len(before)
        assert not seen.intersection(before)
        seen.update(before)
        assert turn.role == USER or not turn.images


@given(_turns())
def test_a_legal_conversation_is_left_alone(turns: list[Turn]) -> None:
    once = legal(*turns)
    again = Rules()
    assert legalise(once, again) == once
    assert again.fired == []


def test_fillers_state_a_fact_and_ask_for_nothing() -> None:
    for filler in (FILLER_USER, FILLER_RESULTS, FILLER_IMAGES, FILLER_START, FILLER_PREFILL, EMPTY_RESULT, UNANSWERED):
        assert filler.startswith("(")
        assert filler.endswith(")")
        assert not {"continue", "please", "go", "proceed"} & set(filler.strip("()").split())


def test_merged_turns_are_a_paragraph_apart() -> None:
    done = legal(Turn(USER, ["one"]), Turn(USER, ["two"]))
    assert [turn.text for turn in done] == ["one\n\ntwo"]


def test_a_user_turn_is_filled_by_what_it_holds() -> None:
    assert legal(Turn(USER))[0].text == FILLER_USER
    assert legal(Turn(USER, images=[DOT]))[0].text == FILLER_IMAGES
    assert legal(Turn(USER, ["Hi"]), asks("a"), answers(Result("a", texts=["x"])))[2].text == FILLER_RESULTS


def test_a_history_that_starts_with_the_assistant_is_begun() -> None:
    assert legal(Turn(ASSISTANT, ["Hello"]), Turn(USER, ["Hi"]))[0].text == FILLER_START


def test_a_prefill_that_says_nothing_is_not_sent() -> None:
    assert [turn.text for turn in legal(Turn(USER, ["Hi"]), Turn(ASSISTANT, [" "]))] == ["Hi"]
    assert [turn.text for turn in legal(Turn(USER, ["Hi"]), Turn(ASSISTANT, ["{"]))] == ["Hi", "{", FILLER_PREFILL]


def test_an_id_used_before_is_replaced_with_its_result() -> None:
    done = legal(
        Turn(USER, ["Hi"]),
        asks("a"),
        answers(Result("a", texts=["one"])),
        asks("a"),
        answers(Result("a", texts=["two"])),
    )
    assert done[3].calls[0].id != "a"
    assert done[4].results == [Result(done[3].calls[0].id, texts=["two"])]


def test_two_calls_of_one_id_keep_their_own_results() -> None:
    turn = Turn(ASSISTANT, calls=[Call("a", "Bash", {"n": 1}), Call("a", "Bash", {"n": 2})])
    done = legal(Turn(USER, ["Hi"]), turn, answers(Result("a", texts=["one"]), Result("a", texts=["two"])))
    assert [call.input for call in done[1].calls] == [{"n": 1}, {"n": 2}]
    assert [(result.id, result.text) for result in done[2].results] == [
        (done[1].calls[0].id, "one"),
        (done[1].calls[1].id, "two"),
    ]


def test_a_call_repeated_word_for_word_is_kept_once() -> None:
    turn = asks("a", "a")
    assert "duplicate_call" in fired(Turn(USER, ["Hi"]), turn, answers(Result("a", texts=["x"])))
    assert len(turn.calls) == 1


def test_a_result_far_from_its_call_becomes_text_and_the_call_is_answered() -> None:
    late = answers(Result("a", texts=["a.txt"]))
    done = legal(Turn(USER, ["Hi"]), asks("a"), Turn(USER, ["Wait"]), Turn(ASSISTANT, ["Yes"]), late)
    assert done[2].results == [Result("a", is_error=True, texts=[UNANSWERED])]
    assert done[4].text == "<tool_result>\na.txt\n</tool_result>"


def test_images_of_the_assistant_move_to_the_turn_after_it() -> None:
    done: list[Any] = legal(Turn(USER, ["Hi"]), Turn(ASSISTANT, ["See"], images=[DOT]), Turn(USER, ["Thanks"]))
    assert (done[1].images, done[2].images) == ([], [DOT])


def test_no_messages_at_all_are_one_neutral_turn() -> None:
    assert [turn.text for turn in legal()] == [FILLER_USER]
