from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from app.translate.conversation import conversation_ids
from tests.unit.anthropic.bodies import assistant, call, image, parse, result, system, text, user

SESSION = "7b1c0c7e-4a55-4d0b-9a52-0d6d1c6f2a11"


def ids(*messages: Any, session: str | None = None, key_id: str = "1", **fields: Any) -> tuple[str, str]:
    return conversation_ids(parse(*messages, **fields), session=session, key_id=key_id)


def test_ids_are_uuids_and_the_same_in_every_process() -> None:
    conversation, continuation = ids(user("Hi"))
    assert (uuid.UUID(conversation).version, uuid.UUID(continuation).version) == (5, 5)
    assert conversation == ids(user("Hi"))[0]


def test_the_session_header_goes_before_everything_else() -> None:
    metadata = {"user_id": f"user_x_account__session_{SESSION}"}
    assert ids(session="s", metadata=metadata)[0] == ids(user("Bye"), session="s")[0]
    assert ids(session="s")[0] != ids(metadata=metadata)[0] != ids()[0]


@pytest.mark.parametrize("user_id", ["", "someone", "{", "{}", '{"session_id":7}', '{"session_id":""}', "session_7b1c0c7e"])
def test_a_user_id_without_a_session_says_nothing(user_id: str) -> None:
    assert ids(metadata={"user_id": user_id}) == ids()


def test_keys_of_the_gateway_do_not_share_conversations() -> None:
    assert ids(session="s", key_id="1")[0] != ids(session="s", key_id="2")[0]


def test_the_opening_is_system_text_and_first_message_without_what_changes() -> None:
    marked = text("Hi", cache_control={"type": "ephemeral"})
    plain = ids(user("Hi"), system="Be brief.")[0]
    billing = [text("x-anthropic-billing-header: 1"), text("Be brief.")]
    assert plain == ids(user(marked), assistant("Hello"), user("Bye"), system=billing)[0]
    assert plain != ids(user("Hi"), system="Be long.")[0]
    assert ids(user(image(data="iVBORw0KGgoA")))[0] != ids(user(image(data="iVBORw0KGgoB")))[0]


def test_a_tool_loop_continues_the_turn_a_person_began() -> None:
    asked = (user("Hi"), assistant(call()), user(result(), text("<system-reminder>x</system-reminder>")))
    assert ids(*asked[:1]) == ids(*asked) == ids(*asked, system("Be brief."))
    assert ids(*asked, assistant("Done"), user("And now?"))[1] != ids(*asked)[1]


def test_a_conversation_that_begins_with_a_large_image_is_told_apart_quickly() -> None:
    large = "iVBORw0KGgo" + "A" * 20_000_000
    other = large[:-1] + "B"
    began_at = time.process_time()
    first, second = (parse(user(image(data=data), text("What is it?"))) for data in (large, other))
    parsed_at = time.process_time()
    assert conversation_ids(first, session=None, key_id="1") != conversation_ids(second, session=None, key_id="1")
    assert time.process_time() - parsed_at < 0.02, f"parsing alone took {parsed_at - began_at:.3f} s"
