from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ModelNotFound
from app.kiro.models import ListedModel
from app.translate.model_names import EFFORTS
from app.translate.models import BUILT_IN, Catalogue, CatalogueModel, described, parse_aliases, resolve

HAIKU = CatalogueModel("claude-haiku-4.5", "Claude Haiku 4.5", 200_000, 64_000, 0)
NEWEST = tuple(
    CatalogueModel(f"claude-{family}-{version}", "", 1_000_000, 64_000, 0)
    for family, version in [("opus", "5.5"), ("sonnet", "5.5"), ("haiku", "5.5"), ("fable", "5.2"), ("mythos", "5.1")]
)
LIVE = Catalogue((*BUILT_IN, *NEWEST))

SPELLINGS = [
    # as it is in the catalogue, and as Anthropic writes it
    ("claude-sonnet-4.5", "claude-sonnet-4.5"),
    ("claude-sonnet-4-5", "claude-sonnet-4.5"),
    ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
    ("claude-opus-4-5-20251101", "claude-opus-4.5"),
    ("claude-haiku-4-5-20251001", "claude-haiku-4.5"),
    ("claude-sonnet-4-20250514", "claude-sonnet-4"),
    ("claude-sonnet-4-0", "claude-sonnet-4"),
    ("claude-opus-4-6", "claude-opus-4.6"),
    ("claude-opus-4-7", "claude-opus-4.7"),
    ("claude-opus-4-8", "claude-opus-4.8"),
    ("claude-sonnet-4-6", "claude-sonnet-4.6"),
    ("claude-opus-5", "claude-opus-5"),
    ("claude-opus-5-0", "claude-opus-5"),
    ("claude-sonnet-5", "claude-sonnet-5"),
    ("Claude-Sonnet-4-5", "claude-sonnet-4.5"),
    (" claude-opus-5 ", "claude-opus-5"),
    # suffixes
    ("claude-sonnet-4-5-latest", "claude-sonnet-4.5"),
    ("claude-sonnet-4.5:latest", "claude-sonnet-4.5"),
    ("claude-opus-5[1m]", "claude-opus-5"),
    ("claude-sonnet-4-6[1m]", "claude-sonnet-4.6"),
    ("claude-sonnet-4-6-1m", "claude-sonnet-4.6"),
    ("claude-sonnet-4-5-20250929[1m]", "claude-sonnet-4.5"),
    ("claude-sonnet-4-5-20250929-thinking", "claude-sonnet-4.5"),
    ("claude-sonnet-4-5-thinking-20250929", "claude-sonnet-4.5"),
    ("claude-opus-4.6:thinking", "claude-opus-4.6"),
    ("claude-opus-4-7:max", "claude-opus-4.7"),
    ("claude-opus-4-7-xhigh", "claude-opus-4.7"),
    ("claude-opus-5-low[1m]", "claude-opus-5"),
    ("claude-sonnet-4-5-2025-09-29", "claude-sonnet-4.5"),
    # clouds and routers
    ("anthropic/claude-sonnet-4.5", "claude-sonnet-4.5"),
    ("anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4.5"),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5"),
    ("eu.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4.5"),
    ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4.5"),
    ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4.6"),
    ("bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
    ("bedrock/converse/anthropic.claude-opus-4-7", "claude-opus-4.7"),
    ("vertex_ai/claude-sonnet-4-5@20250929", "claude-sonnet-4.5"),
    ("claude-sonnet-4-5@20250929", "claude-sonnet-4.5"),
    ("openrouter/anthropic/claude-opus-4.8", "claude-opus-4.8"),
    ("openai/gpt-5.6-sol", "gpt-5.6-sol"),
    ("CLAUDE_SONNET_4_5_20250929_V1_0", "claude-sonnet-4.5"),
    ("CLAUDE_SONNET_4_20250514_V1_0", "claude-sonnet-4"),
    # old word order
    ("claude-4.5-opus-high", "claude-opus-4.5"),
    ("claude-4.5-opus-high-thinking", "claude-opus-4.5"),
    ("claude-4.5-sonnet", "claude-sonnet-4.5"),
    ("claude-4-sonnet", "claude-sonnet-4"),
    ("claude-4-6-sonnet-20260217", "claude-sonnet-4.6"),
    # families, and names without their maker
    ("opus-4-5", "claude-opus-4.5"),
    ("opus-5", "claude-opus-5"),
    ("opus", "claude-opus-5"),
    ("opus[1m]", "claude-opus-5"),
    ("claude-opus", "claude-opus-5"),
    ("claude-opus-latest", "claude-opus-5"),
    ("sonnet", "claude-sonnet-5"),
    ("haiku", "claude-haiku-4.5"),
    # others
    ("glm-5", "glm-5"),
    ("gpt-5-6-sol", "gpt-5.6-sol"),
    ("minimax-m2.1", "minimax-m2.1"),
    ("minimax-m2-5", "minimax-m2.5"),
    ("deepseek-3-2", "deepseek-3.2"),
    ("qwen3-coder-next", "qwen3-coder-next"),
    ("auto", "auto"),
]
# Known to have existed, and not in the catalogue of July 2026.
FAMILY_ANSWERS = [
    ("claude-3-5-sonnet-20241022", "claude-sonnet-4.5"),
    ("claude-3-5-sonnet-latest", "claude-sonnet-4.5"),
    ("claude-3.5-sonnet", "claude-sonnet-4.5"),
    ("claude-3-5-sonnet-v2@20241022", "claude-sonnet-4.5"),
    ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-sonnet-4.5"),
    ("CLAUDE_3_7_SONNET_20250219_V1_0", "claude-sonnet-4.5"),
    ("claude-3-7-sonnet-latest", "claude-sonnet-4.5"),
    ("claude-3-sonnet-20240229", "claude-sonnet-4.5"),
    ("claude-sonnet-4-8", "claude-sonnet-5"),
    ("claude-3-opus-20240229", "claude-opus-4.5"),
    ("claude-opus-4-20250514", "claude-opus-4.5"),
    ("claude-opus-4-1-20250805", "claude-opus-4.5"),
    ("claude-3-5-haiku-20241022", "claude-haiku-4.5"),
    ("claude-3-haiku-20240307", "claude-haiku-4.5"),
    ("claude-opus-5-5", "claude-opus-5"),
    ("claude-sonnet-5-5[1m]", "claude-sonnet-5"),
    ("claude-haiku-5-5", "claude-haiku-4.5"),
]
UNKNOWN = [
    "gpt-4o",
    "glm-6",
    "claude-sonnet-9-9",
    "claude-opus-6",
    "claude-fable-5-2",
    "claude-mythos-preview",
    "claude-2.1",
    "claude-instant-1.2",
    "gemini-2.5-pro",
    "gpt-5.6",
    "my-sonnet",
    "claude",
    "",
    "/",
    "claude-" + "1" * 100_000,
]


@pytest.mark.parametrize(("name", "used"), SPELLINGS)
def test_the_catalogue_answers_to_every_spelling(name: str, used: str) -> None:
    resolved = resolve(name, BUILT_IN)
    assert (resolved.asked, resolved.used) == (name, used)


@pytest.mark.parametrize(("name", "used"), FAMILY_ANSWERS)
def test_a_known_claude_model_the_catalogue_lacks_is_answered_by_its_own_family(name: str, used: str) -> None:
    assert resolve(name, BUILT_IN).used == used


@pytest.mark.parametrize("name", UNKNOWN, ids=lambda name: name[:20])
def test_what_names_no_model_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve(name, BUILT_IN)
    assert caught.value.message == f"model: {name}"


@pytest.mark.parametrize("name", ["claude-opus-4-5", "claude-sonnet-4-5", "opus", "claude-fable-5"])
def test_another_family_never_answers(name: str) -> None:
    with pytest.raises(ModelNotFound):
        resolve(name, (HAIKU,))


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("claude-opus-5-5", "claude-opus-5.5"),
        ("claude-opus-5-5-20260922[1m]", "claude-opus-5.5"),
        ("anthropic.claude-sonnet-5-5-v1:0", "claude-sonnet-5.5"),
        ("haiku-5.5", "claude-haiku-5.5"),
        ("opus", "claude-opus-5.5"),
        ("sonnet[1m]", "claude-sonnet-5.5"),
        ("haiku", "claude-haiku-5.5"),
        ("fable", "claude-fable-5.2"),
        ("claude-fable-5-1", "claude-fable-5.2"),
        ("claude-mythos-5-1:high", "claude-mythos-5.1"),
        ("claude-opus-5", "claude-opus-5"),
        ("claude-haiku-4-5", "claude-haiku-4.5"),
    ],
)
def test_a_live_catalogue_with_newer_models_wins_over_the_mapping(name: str, used: str) -> None:
    assert resolve(name, LIVE).used == used


@pytest.mark.parametrize("name", [name for name, _ in SPELLINGS + FAMILY_ANSWERS])
def test_nothing_is_found_in_an_empty_catalogue(name: str) -> None:
    with pytest.raises(ModelNotFound):
        resolve(name, ())


@pytest.mark.parametrize(
    ("name", "thinking", "effort"),
    [
        ("claude-opus-4-7", False, None),
        ("claude-sonnet-4-5-thinking", True, None),
        ("claude-opus-4-7:max", False, "max"),
        ("claude-4.5-opus-high", False, "high"),
        ("claude-4.5-opus-high-thinking", True, "high"),
        ("claude-opus-4-8-thinking-xhigh", True, "xhigh"),
        ("opus:low", False, "low"),
        ("claude-opus-5[1m]", False, None),
        ("gpt-5.6-sol:none", False, "none"),
    ],
)
def test_suffixes_ask_for_thinking_and_effort(name: str, thinking: bool, effort: str | None) -> None:
    resolved = resolve(name, BUILT_IN)
    assert (resolved.thinking, resolved.effort) == (thinking, effort)


def test_a_suffix_that_belongs_to_the_id_asks_for_nothing() -> None:
    own = CatalogueModel("kimi-k2-thinking", "Kimi K2 Thinking", 200_000, 64_000, 0)
    long = CatalogueModel("claude-sonnet-4.5-1m", "Claude Sonnet 4.5 (1M)", 1_000_000, 64_000, 0)
    catalogue = Catalogue((long, own, *BUILT_IN))
    assert resolve("kimi-k2-thinking", catalogue).thinking is False
    assert resolve("claude-sonnet-4.5-1m", catalogue).context_tokens == 1_000_000
    assert resolve("claude-sonnet-4-5-20250929", catalogue).used == "claude-sonnet-4.5", "the long one is asked for by its id"


def test_limits_are_those_of_the_model_used() -> None:
    resolved = resolve("claude-opus-5-5", BUILT_IN)
    assert (resolved.context_tokens, resolved.max_output_tokens) == (1_000_000, 128_000)


# -- the operator's word --


def test_an_alias_comes_first_in_every_spelling() -> None:
    aliases = parse_aliases("fast=haiku, claude-opus-5-5 = claude-sonnet-4.6, Deep=claude-opus-5:max, gpt-4o=glm-5")
    catalogue = Catalogue(LIVE, aliases=aliases)
    used = {
        "fast": "claude-haiku-5.5",
        "FAST": "claude-haiku-5.5",
        "fast[1m]": "claude-haiku-5.5",
        "claude-opus-5-5": "claude-sonnet-4.6",
        "claude-opus-5.5": "claude-sonnet-4.6",
        "claude-opus-5-5-20260922[1m]": "claude-sonnet-4.6",
        "deep": "claude-opus-5",
        "openai/gpt-4o": "glm-5",
        "opus": "claude-opus-5.5",
    }
    assert {name: resolve(name, catalogue).used for name in used} == used
    assert resolve("deep", catalogue).effort == "max"
    assert resolve("deep:low", catalogue).effort == "low", "what the client says is nearer"
    assert resolve("fast-thinking", catalogue).thinking


def test_an_alias_is_followed_one_step() -> None:
    catalogue = Catalogue(BUILT_IN, aliases={"a": "b", "b": "a"})
    with pytest.raises(ModelNotFound, match=r"^model: a$"):
        resolve("a", catalogue)


@pytest.mark.parametrize("text", ["fast", "fast=", "=haiku", "a=b, a=c", "x" * 300 + "=haiku", "a=\x00"])
def test_aliases_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_aliases(text)


def test_no_aliases_are_none() -> None:
    assert parse_aliases("") == parse_aliases(" , ") == {}


def test_what_is_unknown_is_sent_as_it_is_when_that_is_wanted() -> None:
    catalogue = Catalogue(BUILT_IN, aliases={"next": "Claude-Opus-6"}, passes_unknown=True)
    assert resolve("Some/Model-X", catalogue).used == "Some/Model-X"
    assert resolve("next", catalogue).used == "Claude-Opus-6"
    assert resolve("claude-sonnet-4-5", catalogue).used == "claude-sonnet-4.5"
    assert resolve("glm-6", catalogue).max_output_tokens == 128_000
    with pytest.raises(ModelNotFound):
        resolve(" ", catalogue)


# -- what a catalogue is made of --


def test_a_live_entry_decides_and_what_it_leaves_out_is_as_built_in() -> None:
    built_in = next(model for model in BUILT_IN if model.id == "claude-opus-4.8")
    assert described(ListedModel("claude-opus-4.8")) == built_in
    live = described(ListedModel("claude-opus-4.8", "Opus", 400_000, 256_000, False, 3.0, None, tells_fields=True))
    wanted = replace(
        built_in, name="Opus", context_tokens=400_000, max_output_tokens=256_000, images=False, rate=3.0, fields_schema=None
    )
    assert live == wanted
    assert live.fields_schema is None


def test_a_smaller_output_limit_of_kiro_refuses_nothing_the_real_api_takes() -> None:
    built_in = next(model for model in BUILT_IN if model.id == "claude-opus-4.8")
    assert described(ListedModel("claude-opus-4.8", max_output_tokens=1000)).max_output_tokens == built_in.max_output_tokens


def test_a_model_nobody_has_heard_of_has_the_usual_limits() -> None:
    new = described(ListedModel("claude-opus-6"))
    assert (new.name, new.context_tokens, new.max_output_tokens, new.images) == ("claude-opus-6", 200_000, 64_000, True)
    assert resolve("opus", Catalogue((*BUILT_IN, new))).used == "claude-opus-6"


def test_a_catalogue_is_sorted_newest_first() -> None:
    created = [model.created for model in BUILT_IN]
    assert created == sorted(created, reverse=True)
    assert [model.id for model in LIVE][:3] == ["claude-haiku-5.5", "claude-opus-5.5", "claude-sonnet-5.5"]


@given(st.one_of(st.text(max_size=60), st.text(alphabet="claude-opusnt45.[1m]:/@v_", max_size=60)))
def test_any_name_is_a_model_or_is_not_found(name: str) -> None:
    try:
        used = resolve(name, LIVE).used
    except ModelNotFound:
        return
    assert used in {model.id for model in LIVE}


@given(st.sampled_from(BUILT_IN), st.sampled_from(["", "-thinking", "[1m]", "-latest", *(f":{effort}" for effort in EFFORTS)]))
def test_every_id_is_found_with_every_suffix(model: CatalogueModel, suffix: str) -> None:
    for spelled in (model.id, model.id.upper(), f"provider/{model.id}", model.id.replace(".", "-")):
        assert resolve(spelled + suffix, BUILT_IN).used == model.id
