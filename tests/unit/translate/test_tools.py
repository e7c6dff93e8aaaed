from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from app.translate.rules import Rules
from app.translate.tools import Tool, ToolNames, specify, stub

LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,63}")
LONG = "mcp__some_very_long_server_name__some_extremely_long_tool_name_that_overflows"
NAMES = st.lists(
    st.sampled_from(["Bash", "bash", "BASH", "a.b", "a_b", "a/b", LONG, LONG.upper(), "x" * 63, "x" * 64, "読む", ""])
    | st.text(max_size=70),
    unique=True,
    max_size=12,
)


@settings(max_examples=300)
@given(NAMES)
def test_every_name_is_mapped_to_a_legal_one_and_back(declared: list[str]) -> None:
    names = ToolNames(declared)
    mapped = [names.to_kiro(name) for name in declared]
    assert all(LEGAL.fullmatch(name) for name in mapped)
    assert len({name.lower() for name in mapped}) == len(mapped), "upstream compares without case"
    assert [names.to_client(name) for name in mapped] == declared


@given(NAMES)
def test_a_legal_name_that_nothing_equals_stays_itself(declared: list[str]) -> None:
    names = ToolNames(declared)
    lower = [name.lower() for name in declared]
    for name in declared:
        if LEGAL.fullmatch(name) and lower.count(name.lower()) == 1:
            assert names.to_kiro(name) == name


def test_the_history_may_write_a_declared_name_in_another_case() -> None:
    assert ToolNames(["Bash"]).to_kiro("bash") == "Bash"


def test_upstream_may_write_a_name_in_another_case() -> None:
    names = ToolNames([LONG])
    assert names.to_client(names.to_kiro(LONG).upper()) == LONG
    assert names.to_client("Unknown") == "Unknown"


def test_a_long_description_leaves_a_pointer_to_its_heading() -> None:
    specifications, sections = specify([Tool("Bash", "d" * 10_001, {})], ToolNames(["Bash"]), Rules())
    assert sections == ["# Tool: Bash\n\n" + "d" * 10_001]
    assert '"Tool: Bash"' in specifications[0]["toolSpecification"]["description"]


def test_a_stub_takes_no_arguments() -> None:
    specification = stub("Bash")["toolSpecification"]
    assert specification["inputSchema"] == {"json": {"type": "object", "properties": {}}}
    assert specification["description"].strip()
