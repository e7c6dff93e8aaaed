"""Each cause of a general refusal is named, and nothing is named where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from app.errors import UpstreamRefused
from app.kiro.request import KiroRequest
from app.translate.preflight import MOST_TOLD, NOTHING_FOUND, advice, problems
from simulator.chat import ChatCall
from simulator.validation import CAUSES, validate
from tests.contract.conversations import ACCOUNT, PIXELS, Json, conversations, translate
from tests.unit.anthropic.bodies import assistant, body, call, image, result, text, tool, user
from tests.unit.translate.pictures import base64, picture

LONG = "mcp__some_very_long_server_name__some_extremely_long_tool_name_that_overflows"
WEATHER = tool(description="Tells the weather", input_schema={"type": "object", "properties": {"city": {"type": "string"}}})
SOUND = translate(
    body(
        user("Hi"),
        assistant(text("I look."), call("toolu_1", input={"city": "Oslo"})),
        user(result("toolu_1", content="rain")),
        assistant("It rains."),
        user(text("And here?"), image(data=PIXELS["png"])),
        system="Be brief.",
        tools=[WEATHER],
    )
).kiro
IN_CONTEXT, ONLY_WITH_A_CREDENTIAL = "userInputMessageContext", {"profile", "plan"}


class Draft:
    """A copy of the sound document, to break. History: system text, its reply, Hi, call, result, reply."""

    def __init__(self) -> None:
        self.state: Json = deepcopy(SOUND.conversation_state)
        self.history: list[Json] = self.state["history"]
        self.current: Json = self.state["currentMessage"]["userInputMessage"]
        self.tools: list[Json] = self.current[IN_CONTEXT]["tools"]
        self.tool: Json = self.tools[0]["toolSpecification"]
        self.image: Json = self.current["images"][0]

    @property
    def reply(self) -> Json:
        """The turn with the call."""
        return self.history[3]["assistantResponseMessage"]  # type: ignore[no-any-return]

    @property
    def call(self) -> Json:
        return self.reply["toolUses"][0]  # type: ignore[no-any-return]

    @property
    def answer(self) -> Json:
        """The turn with the result."""
        return self.history[4]["userInputMessage"]  # type: ignore[no-any-return]

    @property
    def results(self) -> list[Json]:
        return self.answer[IN_CONTEXT]["toolResults"]  # type: ignore[no-any-return]

    @property
    def request(self) -> KiroRequest:
        return KiroRequest(self.state)


Change = Callable[[Draft], Any]


def schema(**parts: Any) -> Change:
    return lambda d: d.tool["inputSchema"]["json"].update(parts)


def bytes_of(data: str, format_: str = "png") -> Change:
    return lambda d: d.image.update(format=format_, source={"bytes": data})


def drop_tools(draft: Draft) -> None:
    del draft.current[IN_CONTEXT]["tools"]


# What breaks the document, the stand-in's rule against it (the place in the table of causes), and what is told.
BROKEN: list[tuple[str, Change, list[str]]] = [
    # 1
    ("empty_content", lambda d: d.current.update(content="", images=[]), ["turn 5 of the conversation: the user says nothing"]),
    ("empty_content", lambda d: d.history[2]["userInputMessage"].update(content=""),
     ["turn 1 of the conversation: the user says nothing"]),
    ("empty_content", lambda d: d.history[5]["assistantResponseMessage"].update(content=""),
     ["turn 4 of the conversation: the reply has no text, not even a space"]),
    # 2
    ("tool_pairing", lambda d: d.answer.pop(IN_CONTEXT),
     ["turn 2 of the conversation: call toolu_1 has no result in the turn after it"]),
    ("tool_pairing", lambda d: d.reply.pop("toolUses"),
     ["turn 3 of the conversation: result toolu_1 answers no call of the turn before it"]),
    ("tool_pairing", lambda d: d.results.append(d.results[0]),
     ["turn 3 of the conversation: call toolu_1 has more than one result"]),
    ("tool_pairing", lambda d: (d.reply["toolUses"].append(d.call), d.results.append({**d.results[0], "toolUseId": "toolu_2"})),
     ["turn 2 of the conversation: the id of call toolu_1 is used more than once",
      "turn 3 of the conversation: result toolu_2 answers no call of the turn before it"]),
    ("tool_pairing", lambda d: d.results[0].update(toolUseId="toolu_2"),
     ["turn 2 of the conversation: call toolu_1 has no result in the turn after it",
      "turn 3 of the conversation: result toolu_2 answers no call of the turn before it"]),
    # 3
    ("tools_declared", drop_tools, ["tools were used in the conversation, but none are declared"]),
    ("tools_declared", lambda d: d.call.update(name="get_time"),
     ["turn 2 of the conversation: tool get_time was called but is not declared"]),
    # 4
    ("alternation", lambda d: d.history.pop(5),
     ["turn 4 of the conversation: two turns of the user follow each other"]),
    ("alternation", lambda d: d.history.__delitem__(slice(0, 3)), ["the conversation begins with a reply"]),
    # 5
    ("tool_specification", lambda d: d.tools.append({"toolSpecification": {**d.tool, "name": "x" * 64}}),
     [f"tool {'x' * 64}: its name has 64 bytes, more than 63"]),
    ("tool_specification", lambda d: d.tools.append({"toolSpecification": {**d.tool, "name": "a.b"}}),
     ["tool a.b: its name has other characters than letters, digits, _ and -"]),
    ("tool_specification", lambda d: d.tools.append({"toolSpecification": {**d.tool, "name": ""}}),
     ["tool : it has no name"]),
    ("tool_specification", lambda d: d.tools.append({"toolSpecification": {**d.tool, "name": "Get_Weather"}}),
     ["tool get_weather: another tool has the same name, ignoring case",
      "tool Get_Weather: another tool has the same name, ignoring case"]),
    ("tool_specification", lambda d: d.tool.update(description=" "), ["tool get_weather: it has no description"]),
    ("tool_specification", lambda d: d.tool.update(description="長" * 4_000),
     ["tool get_weather: its description has 12000 bytes, more than 10240"]),
    ("tool_specification", lambda d: d.tool.update(inputSchema={"json": None}),
     ["tool get_weather: its schema is no object"]),
    ("tool_specification", lambda d: d.tool.update(inputSchema={"json": []}), ["tool get_weather: its schema is no object"]),
    ("tool_specification", schema(required=None),
     ['tool get_weather: its schema has a "required" that is no list of names',
      'tool get_weather: its schema has a null in "required"']),
    ("tool_specification", schema(type="array"),
     ['tool get_weather: its schema has another type than "object" at the top']),
    ("tool_specification", schema(anyOf=[{"type": "object"}]), ['tool get_weather: its schema has "anyOf" at the top']),
    ("tool_specification", schema(properties={"a": {"type": "array", "items": {"type": "object", "properties": []}}}),
     ['tool get_weather: its schema has "properties" that are no object']),
    # 6
    ("tool_input", lambda d: d.call.update(input='{"city": "Os'),
     ["turn 2 of the conversation: the arguments of call toolu_1 are no object"]),
    ("tool_input", lambda d: d.call.update(input={"city": [{"": 1}]}),
     ["turn 2 of the conversation: the arguments of call toolu_1 hold an empty key or a null"]),
    # 7
    ("field_values", lambda d: d.current.update(images=None), ['turn 5 of the conversation: "images" is null']),
    ("field_values", lambda d: d.current.update(content=[{"text": "Hi"}]),
     ["turn 5 of the conversation: its text is no text"]),
    ("field_values", lambda d: d.state.update(chatTriggerType="AUTO"), ['the conversation: "chatTriggerType" is AUTO']),
    ("field_values", lambda d: d.state.pop("conversationId"), ['the conversation: "conversationId" is missing']),
    ("field_values", lambda d: d.current.pop("modelId"), ['the conversation: "modelId" is missing']),
    ("field_values", lambda d: d.results[0].update(status="fine"), ['turn 3 of the conversation: "status" is fine']),
    ("field_values", lambda d: d.current.update(origin=["AI_EDITOR"]),
     ["turn 5 of the conversation: \"origin\" is ['AI_EDITOR']"]),
    ("field_values", lambda d: d.history.insert(2, {"systemMessage": {"content": "Hi"}}),
     ["turn 1 of the conversation: it is neither the user's nor a reply"]),
    # 9
    ("media", bytes_of(PIXELS["png"], "bmp"),
     ["turn 5 of the conversation: image 1 is of no format that Kiro reads (png, jpeg, gif, webp)"]),
    ("media", bytes_of(PIXELS["gif"]), ["turn 5 of the conversation: image 1 is called png but is gif"]),
    ("media", bytes_of(PIXELS["png"][:24]), ["turn 5 of the conversation: image 1 cannot be read"]),
    ("media", bytes_of("A" * 5_242_884),
     ["turn 5 of the conversation: image 1 has 5242884 bytes of base64, more than 5242880",
      "the conversation is very large (5.2 MB)"]),
    ("media", bytes_of(base64(picture((8_001, 1)))),
     ["turn 5 of the conversation: image 1 is 8001 × 1 pixels, more than 8000 on a side"]),
    ("media", lambda d: d.current.update(images=[*d.current["images"] * 20, picture_entry(2_001)]),
     ["turn 5 of the conversation: image 21 is 2001 × 1 pixels, more than 2000 on a side"]),
    ("media", lambda d: d.current.update(images=d.current["images"] * 101),
     ["the conversation holds 101 images and documents, more than 100"]),
    ("media", lambda d: d.current.update(documents=[{"name": "a", "format": "pdf", "source": {"bytes": ""}}] * 6),
     ["the conversation holds 6 documents, more than 5"]),
    # 10
    ("dotted_model", lambda d: d.current.update(modelId="claude-sonnet-4-5"),
     ["model claude-sonnet-4-5: Kiro's runtime hosts only know ids with dots, such as claude-sonnet-4.5"]),
    # 11
    ("consecutive_assistant", lambda d: d.history.append(d.history[5]),
     ["turn 5 of the conversation: two replies follow each other"]),
    # 12
    ("empty_turn", lambda d: d.current.update(content=" \n", images=[]),
     ["turn 5 of the conversation: the user says nothing"]),
    ("empty_turn", lambda d: d.history[5].update(assistantResponseMessage={"content": "", "reasoningContent": {}}),
     ["turn 4 of the conversation: the reply has no text, not even a space"]),
    # 14
    ("body_size", lambda d: d.current.update(content="x " * 6_000_000), ["the conversation is very large (12.0 MB)"]),
]  # fmt: skip
NUMBERED = [pytest.param(*case, id=f"{at}-{case[0]}") for at, case in enumerate(BROKEN)]


def picture_entry(width: int) -> Json:
    return {"format": "png", "source": {"bytes": base64(picture((width, 1)))}}


def broken(change: Change) -> KiroRequest:
    draft = Draft()
    change(draft)
    return draft.request


def test_every_cause_that_a_document_shows_has_a_case() -> None:
    assert {cause for cause, _, _ in BROKEN} == CAUSES.keys() - ONLY_WITH_A_CREDENTIAL


@pytest.mark.parametrize(("cause", "change", "told"), NUMBERED)
def test_the_offending_part_is_named_and_nothing_else(cause: str, change: Change, told: list[str]) -> None:
    request = broken(change)
    before = deepcopy(request)
    assert problems(request) == told
    assert request == before


@pytest.mark.parametrize(("cause", "change", "told"), NUMBERED)
def test_the_stand_in_refuses_it_for_the_same_cause(cause: str, change: Change, told: list[str]) -> None:
    sent = orjson.dumps({"conversationState": broken(change).conversation_state, "profileArn": ACCOUNT.profile_arn})
    service = "runtime" if cause == "dotted_model" else "q"
    found = validate(ChatCall(orjson.loads(sent), len(sent), service=service, region=ACCOUNT.region, account=ACCOUNT))
    assert found is not None
    assert found[0] == cause


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.tools.append({"cachePoint": {"type": "default"}}), "turn 5 of the conversation: there is a cache point"),
        (schema(properties={"city": None}), 'tool get_weather: its schema has a null in "properties"'),
        (schema(properties={"city": {"enum": ["Oslo", None]}}), 'tool get_weather: its schema has a null in "enum"'),
        (lambda d: d.call.update(input={"city": None}),
         "turn 2 of the conversation: the arguments of call toolu_1 hold an empty key or a null"),
        (lambda d: d.tools.extend({"toolSpecification": {**d.tool, "name": f"tool_{at}"}} for at in range(1_000)),
         "1001 tools are declared; only hundreds are known to work"),
    ],
)  # fmt: skip
def test_what_only_some_reports_blame_is_named_too(change: Change, told: str) -> None:
    assert told in problems(broken(change))


def test_a_tool_is_called_what_the_client_calls_it() -> None:
    translation = translate(body(tools=[tool(LONG, description="d")]))
    context = translation.kiro.conversation_state["currentMessage"]["userInputMessage"][IN_CONTEXT]
    context["tools"][0]["toolSpecification"]["description"] = ""
    assert problems(translation.kiro, translation.tool_names) == [f"tool {LONG}: it has no description"]


def test_without_a_system_text_turns_are_counted_from_the_first() -> None:
    def change(draft: Draft) -> None:
        del draft.history[:2]
        draft.history[0]["userInputMessage"]["content"] = ""

    assert problems(broken(change)) == ["turn 1 of the conversation: the user says nothing"]


def test_a_document_without_anything_is_no_error() -> None:
    found = problems(KiroRequest({}))
    assert 'the conversation: "conversationId" is missing' in found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(conversations())
def test_nothing_is_found_in_what_is_right(raw: Json) -> None:
    translation = translate(raw)
    assert problems(translation.kiro, translation.tool_names) == []


# --- what is told ---------------------------------------------------------------------------------------------------------


def refusal(reason: str | None = None, status: int | None = 400) -> UpstreamRefused:
    return UpstreamRefused("Improperly formed request.", upstream_status=status, reason=reason)


@pytest.mark.parametrize("reason", [None, "", "REQUEST_BODY_INVALID"])
def test_a_general_refusal_is_explained(reason: str | None) -> None:
    request = broken(lambda d: d.tool.update(description=""))
    assert advice(request, refusal(reason)) == "Likely cause: tool get_weather: it has no description."
    assert advice(SOUND, refusal(reason)) == NOTHING_FOUND


@pytest.mark.parametrize(("reason", "status"), [("IMAGE_SIZE_EXCEEDED", 400), (None, None), (None, 503)])
def test_a_refusal_that_explains_itself_is_left_alone(reason: str | None, status: int | None) -> None:
    assert advice(broken(lambda d: d.tool.update(description="")), refusal(reason, status)) == ""


def test_no_more_than_three_causes_are_told() -> None:
    request = broken(lambda d: d.tools.extend({"toolSpecification": {**d.tool, "name": f"a.{at}"}} for at in range(9)))
    assert advice(request, refusal()).count("its name has other characters") == MOST_TOLD


def test_a_cause_is_told_in_few_words() -> None:
    request = broken(lambda d: d.tools.append({"toolSpecification": {**d.tool, "name": "x" * 100_000}}))
    assert len(advice(request, refusal())) < 200
