"""`make check` finds a mistake of each kind, and nothing in the tree as it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.tree import copy_tree, make, run

# What is planted at the end of a file, the tool that must find it, and a part of what the tool says.
MISTAKES = {
    "lint": ("app/ledger.py", "import os\n", "ruff check .", "F401"),
    "the environment is read outside config": (
        "app/settings.py",
        "\nimport os\n\nHOME = os.environ['HOME']\n",
        "ruff check .",
        "TID251",
    ),
    "format": ("app/ledger.py", "X = {  'a':1 }\n", "ruff format --check .", "app/ledger.py"),
    "a wrong type": ("app/ledger.py", "\n\ndef wrong(ledger: Ledger) -> int:\n    return ledger\n", "mypy", "app/ledger.py"),
    "no type": ("app/ledger.py", "\n\ndef untyped(x):\n    return x\n", "mypy", "no-untyped-def"),
    "the core knows the clock": ("app/kiro/events.py", "\nimport time\n\nNOW = time.time()\n", "lint-imports", "broken"),
    "the core knows both": (
        "app/kiro/events.py",
        "\nfrom app.anthropic import sse\n\nSSE = sse\n",
        "lint-imports",
        "broken",
    ),
    "requests outside upstream.http": ("app/ledger.py", "\nimport requests\n\nGET = requests\n", "lint-imports", "broken"),
    "an unused function": (
        "app/ledger.py",
        "\n\ndef nobody_calls_this() -> int:\n    return 1\n",
        "vulture",
        "nobody_calls_this",
    ),
    "an unused class": ("app/kiro/events.py", "\n\nclass NobodyMakesThis:\n    pass\n", "vulture", "NobodyMakesThis"),
    "an unused method": ("app/ledger.py", "\n    def nobody_asks(self) -> int:\n        return 1\n", "vulture", "nobody_asks"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree"))


@contextmanager
def planted(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(before + text)
    try:
        yield
    finally:
        path.write_text(before)


@pytest.mark.timeout(400)
def test_the_tree_as_it_is_passes(tree: Path) -> None:
    done = make(tree, "check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_found(tree: Path, mistake: tuple[str, str, str, str]) -> None:
    name, text, command, says = mistake
    tool, *arguments = command.split()
    with planted(tree / name, text):
        done = run(tree, f".venv/bin/{tool}", *arguments)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr


def test_make_check_fails_with_any_of_its_tools(tree: Path) -> None:
    recipe = make(tree, "--dry-run", "check").stdout
    for tool in ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "vulture"):
        assert f".venv/bin/{tool}" in recipe
    with planted(tree / "app/ledger.py", "import os\n"):
        done = make(tree, "check")
    assert done.returncode != 0
    assert "F401" in done.stdout
