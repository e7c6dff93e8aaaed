"""The bench's shortest way through all its parts: upstream, gateway, load, table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.compare import main


def test_a_quick_batch_is_measured_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "figures.json"
    assert main(["--quick", "--only", "batch text", "--json", str(written)]) == 0
    content = json.loads(written.read_text())
    assert content["complaints"] == []
    by_target = {row["target"]: row["median"] for row in content["rows"]}
    assert by_target.keys() >= {"gateway plain", "gateway tls"}
    assert all(0.05 < value < 1_000 for value in by_target.values())
    assert "gateway plain" in capsys.readouterr().out


def test_an_unknown_figure_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "speed of light"]) == 2
    assert "paced text" in capsys.readouterr().out
