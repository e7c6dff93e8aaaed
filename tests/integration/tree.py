"""A copy of the tree in which a test may plant mistakes and run `make`, with the packages that are installed already."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration.gateway import ROOT, clean_environment


def copy_tree(target: Path) -> Path:
    """Copy every file git knows or would know, and a `.venv` that make takes for set up: nothing is downloaded."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():  # git also lists what was just deleted
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    venv = target / ".venv"
    venv.mkdir(parents=True)
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith(".installed"):
            (venv / entry.name).symlink_to(entry)
    (venv / ".installed").touch()
    (venv / ".installed-dev").touch()
    return target


def make(tree: Path, *arguments: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run `make` in a copy."""
    return run(tree, "make", *arguments, seconds=seconds)


def run(tree: Path, *command: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=tree, env=clean_environment(), capture_output=True, text=True, timeout=seconds, check=False
    )
