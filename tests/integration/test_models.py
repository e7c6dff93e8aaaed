"""The models a running gateway offers: what Kiro lists for its logins, paged as the official SDK does, in every spelling."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from simulator.client import Simulator
from tests.integration.gateway import API_KEY, Gateway, flask_command, running_gateway
from tests.integration.wire import Client, ask, body

LISTING, CHAT = "/ListAvailableModels", "/generateAssistantResponse"


@pytest.fixture(scope="module")
def live(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers and two logins, of which the free one has no Opus; their lists are known."""
    folder = tmp_path_factory.mktemp("live")
    accounts = [simulator.add_account(kind="social", plan=plan) for plan in ("free", "pro")]
    simulator.clear_calls()
    options = bring(folder, *accounts)
    with running_gateway(folder, upstream_url=simulator.url, workers=2, **options) as gateway:
        known(gateway)
        yield gateway


def bring(folder: Path, *accounts: dict[str, Any]) -> dict[str, Any]:
    path = folder / "credentials.json"
    path.write_text(json.dumps([{"refreshToken": each["refresh_token"], "authMethod": "social"} for each in accounts]))
    return {"KIRO_CREDENTIALS_FILE": str(path)}


def known(gateway: Gateway) -> None:
    """Until every worker has the live list; it is seen by a model that is not built in, and by one that no login lacks."""
    deadline = time.monotonic() + 20
    in_a_row = 0
    while in_a_row < 12:
        assert time.monotonic() < deadline, gateway.log
        answer = get(gateway, "/v1/models?limit=100")[1]
        live = {"claude-opus-5.5", "claude-haiku-5.5"} <= {model["id"] for model in answer["data"]}
        in_a_row = in_a_row + 1 if live else 0
        time.sleep(0.02)
    settled = flask_command(gateway.folder, "models").stdout
    assert "?" not in settled, settled


def get(gateway: Gateway, path: str, key: str = API_KEY) -> tuple[int, Any]:
    request = urllib.request.Request(gateway.url + path, headers={"x-api-key": key})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def sent_model(simulator: Simulator) -> str:
    """The model that Kiro was asked for last."""
    return str(simulator.calls(CHAT)[-1]["body"]["conversationState"]["currentMessage"]["userInputMessage"]["modelId"])


def all_ids(gateway: Gateway) -> list[str]:
    return [model["id"] for model in get(gateway, "/v1/models?limit=1000")[1]["data"]]


# -- the list --


def test_of_all_workers_one_asked_for_each_login_once(live: Gateway, simulator: Simulator) -> None:
    asked = Counter(call["account"] for call in simulator.calls(LISTING) if "nextToken" not in call["query"])
    assert sorted(asked.values()) == [1, 1]
    table = flask_command(live.folder, "models").stdout
    rows = {line.split()[0]: line.split() for line in table.splitlines()[1:] if line.strip()}
    assert rows["claude-opus-5.5"][-2:] == ["2.2", "2"], table
    assert rows["claude-sonnet-5.5"][-3:] == ["1.3", "1", "2"], table
    assert {model.rsplit(" ", 1)[0] for model in all_ids(live)} <= rows.keys()


@pytest.mark.parametrize("limit", [1, 3, 5, 100])
def test_the_sdk_s_pager_sees_every_model_once_both_ways(live: Gateway, limit: int) -> None:
    models, ids = live.sdk().models, all_ids(live)
    assert [model.id for model in models.list(limit=limit)] == ids
    assert [model.id for model in models.list(limit=limit, after_id=ids[4])] == ids[5:]
    backwards = [model.id for model in models.list(limit=limit, before_id=ids[-1])]
    assert sorted(backwards) == sorted(ids[:-1])
    assert backwards[:limit] == ids[:-1][-limit:], "the page right before it, in the order of the list"


def test_the_newest_sdk_reads_limits_and_capabilities(live: Gateway) -> None:
    opus = live.sdk().models.retrieve("claude-opus-5-5")
    assert (opus.id, opus.type, opus.display_name) == ("claude-opus-5.5", "model", "Claude Opus 5.5")
    assert (opus.max_input_tokens, opus.max_tokens, opus.line, opus.lifecycle) == (1_000_000, 64_000, "opus", "active")
    assert opus.created_at.isoformat() == "2026-09-22T00:00:00+00:00"
    assert opus.capabilities is not None
    assert opus.capabilities.effort.xhigh is not None
    assert opus.capabilities.effort.xhigh.supported
    assert opus.capabilities.image_input.supported
    assert opus.capabilities.pdf_input.supported
    assert opus.capabilities.thinking.types.adaptive.supported
    assert not opus.capabilities.batch.supported
    sonnet = live.sdk().models.retrieve("claude-sonnet-4-5-20250929")
    assert sonnet.capabilities is not None
    assert not sonnet.capabilities.effort.supported


def test_the_original_s_keys_stay(live: Gateway) -> None:
    status, page = get(live, "/v1/models")
    assert (status, page["object"], len(page["data"]), page["has_more"]) == (200, "list", 20, True)
    model = next(each for each in page["data"] if each["id"] == "claude-sonnet-4.5")
    assert (model["object"], model["created"], model["owned_by"]) == ("model", 1_759_104_000, "anthropic")
    assert model["created_at"] == "2025-09-29T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=1001", "limit: Input should be less than or equal to 1000"),
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=many", "limit: Input should be a valid integer, unable to parse string as an integer"),
        ("lifecycle=gone", "lifecycle.0: Input should be 'active', 'deprecated' or 'retired'"),
        ("after_id=auto&before_id=glm-5", "before_id: Only one of `before_id` and `after_id` may be given"),
    ],
)
def test_wrong_paging_is_told(live: Gateway, query: str, message: str) -> None:
    status, answer = get(live, f"/v1/models?{query}")
    assert (status, answer["error"]["type"], answer["error"]["message"]) == (400, "invalid_request_error", message)


@pytest.mark.parametrize("query", ["after_id=gone", "before_id=gone", "lifecycle=retired", "lifecycle[]=deprecated"])
def test_an_empty_page_has_no_ends(live: Gateway, query: str) -> None:
    status, page = get(live, f"/v1/models?{query}")
    assert (status, page["data"], page["has_more"], page["first_id"], page["last_id"]) == (200, [], False, None, None)


def test_stages_are_asked_for_as_the_sdk_does(live: Gateway) -> None:
    assert next(iter(live.sdk().models.list(lifecycle=["retired", "active"]))).id == all_ids(live)[0]


def test_the_list_is_for_clients_only(live: Gateway) -> None:
    for path in ("/v1/models", "/v1/models/auto", "/cc/v1/models"):
        assert get(live, path, key="wrong")[0] == 401


# -- names --


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("claude-opus-5-5[1m]", "claude-opus-5.5"),
        ("opus", "claude-opus-5.5"),
        ("anthropic/claude-haiku-4.5", "claude-haiku-4.5"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-sonnet-4.5"),
    ],
)
def test_every_door_understands_the_same_names(live: Gateway, simulator: Simulator, name: str, used: str) -> None:
    assert live.sdk().models.retrieve(name).id == used
    assert live.sdk().messages.count_tokens(model=name, messages=[{"role": "user", "content": "Hi"}]).input_tokens > 0
    assert ask(live.url, body(model=name)).json["model"] == name
    assert sent_model(simulator) == used


def test_no_door_knows_another_name(live: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    sdk, hello = live.sdk(), [{"role": "user", "content": "Hi"}]
    calls: list[Any] = [
        lambda: sdk.models.retrieve("gpt-2"),
        lambda: sdk.messages.count_tokens(model="gpt-2", messages=hello),  # type: ignore[arg-type]  # a plain dict
        lambda: sdk.messages.create(model="gpt-2", max_tokens=10, messages=hello),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(anthropic.NotFoundError) as caught:
            call()
        assert caught.value.body["error"]["message"] == "model: gpt-2"  # type: ignore[index]
    assert simulator.calls(CHAT) == []


def test_a_login_without_the_model_is_passed_over(live: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    for model in ("claude-opus-5.5", "claude-sonnet-5.5"):
        assert ask(live.url, body(model=model)).status == 200
    opus, sonnet = simulator.calls(CHAT)
    assert opus["account"] != sonnet["account"], "the free login comes first and has no Opus"


def test_the_operator_s_names_are_in_force_within_seconds(live: Gateway, simulator: Simulator) -> None:
    def say(**settings: str) -> None:
        for name, value in settings.items():
            assert flask_command(live.folder, "settings", "set", name, value).returncode == 0

    def eventually(name: str, status: int) -> None:
        deadline = time.monotonic() + 8
        while any(ask(live.url, body(model=name)).status != status for _ in range(6)):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    say(model_aliases="fast=haiku:low", pass_unknown_models="on")
    try:
        eventually("fast", 200)
        eventually("brand-new", 400)
        assert sent_model(simulator) == "brand-new", "Kiro has the last word"
        assert live.sdk().models.retrieve("fast").id == "claude-haiku-5.5"
        assert get(live, "/v1/models/brand-new")[0] == 404, "there is nothing to say of it"
    finally:
        say(model_aliases="", pass_unknown_models="off")
    eventually("fast", 404)


# -- doors of Claude Code, and what an answer tells --


def test_claude_code_s_doors_answer_as_the_others(live: Gateway) -> None:
    assert get(live, "/cc/v1/models?limit=3") == get(live, "/v1/models?limit=3")
    assert get(live, "/cc/v1/models/opus") == get(live, "/v1/models/opus")
    counts = []
    for prefix in ("", "/cc"):
        with Client(live.url) as client:
            client.post({"model": "opus", "messages": body()["messages"]}, f"{prefix}/v1/messages/count_tokens")
            counts.append(client.answer().json["input_tokens"])
    assert counts[0] == counts[1] > 0


def test_a_whole_answer_tells_its_cost_and_a_stream_leaves_it_to_the_record(live: Gateway) -> None:
    whole = ask(live.url, body())
    assert float(whole.headers["x-kiro-credits"]) > 0
    assert whole.headers["x-kiro-token-source"] in ("exact", "context", "estimate")
    streamed = ask(live.url, body(stream=True))
    assert not [name for name in streamed.headers if name.startswith("x-kiro")]
    assert streamed.types[-1] == "message_stop"
    assert whole.headers["x-kiro-credits"] in recorded(live, whole.headers["request-id"])


def recorded(gateway: Gateway, id_: str) -> str:
    """What the record of a request says; it is written within a second."""
    deadline = time.monotonic() + 10
    while (done := flask_command(gateway.folder, "requests", id_)).returncode:
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.1)
    return done.stdout
