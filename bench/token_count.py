"""How near the token counts come to the reference, and what they cost.

    python -m bench.token_count --reference PYTHON [--record FILE]

In: a Python (3.12 or newer) that has the package `ctok`, the reference, and the text files of this machine. Out: a table of
errors for each kind of text, the error of whole conversations, and speeds. `--record` writes the reference's counts of the
texts the tests look at. Both counters run in processes of their own and know nothing of one another.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PLACES = (ROOT, Path(os.__file__).parent, Path("/usr/share"), Path("/usr/include"), Path("/usr/lib"), Path("/var/log"))
# fmt: off
KINDS = (
    "py", "md", "json", "yaml", "toml", "h", "c", "hpp", "pm", "sh", "js", "ts", "tsx", "html", "css", "go", "rs", "java", "rb",
    "tcl", "csv", "xml", "log", "rst", "el", "lua", "php", "sql", "vim", "msg", "ini", "cfg", "po",
)
# fmt: on
EACH = 15
LENGTHS = (500, 1500, 4000)
FAMILIES = {"claude-3": ("3.0", 7), "claude-4-7": ("4.7", 11)}

REFERENCE = """
import json, sys
import ctok
families, texts = json.load(sys.stdin)
out = {}
for name, (release, frame) in families.items():
    out[name] = [ctok.token_count(text, release) - frame for text in texts]
json.dump(out, sys.stdout)
"""
OURS = """
import json, sys, time
from app.counting import vocabulary
from app.anthropic.tokenizer import Tokenizer
families, texts, cut = json.load(sys.stdin)
long = "".join(texts)[:1_000_000]
out = {}
for name in families:
    tokenizer = Tokenizer(vocabulary(name))
    out[name] = [tokenizer.count(text) for text in texts]
    for blocks in cut:
        out[name].append(sum(tokenizer.count(block, begins=at == 0) for at, block in enumerate(blocks)))
    seconds = []
    for counting in (Tokenizer(vocabulary(name)),) * 2:
        began = time.process_time()
        counting.count(long)
        seconds.append((time.process_time() - began) / len(long.encode()))
    out[name + " speed"] = [round(1e-6 / each, 1) for each in seconds]
json.dump(out, sys.stdout)
"""
# Texts the tests look at: each marks a rule, or is a language.
EXAMPLES = (
    "Hello, Claude",
    "You are a scientist",
    "What's the weather like in San Francisco?",
    "HTTP/1.1 200 OK",
    "NASA and ESA",
    "SHOUTING IS RUDE, SAID THE McDONALD",
    "don't, won't, they've, I'm, we'd, you'll, he's, '90s, 'tis",
    "x = y  +  z",
    "a ( b ) [c] { d }",
    "foo_bar.fooBar(FooBar::FOO_BAR)",
    "1234567 12,345.67 0xDEADBEEF v1.2.3",
    "\n\n  - item\n  - item\n",
    "if (a && b || !c) { return x?.y ?? z; }",
    'def f(x: int) -> str:\n    return f"{x!r}"\n',
    "SELECT * FROM t WHERE a = 'b';",
    "sed -i 's/foo/bar/g' *.txt | grep -v '^#'",
    '<a href="https://example.org/?q=1&r=2">link</a>',
    '{"key": [1, 2.5, null]}',
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "=" * 100,
    "\t\tindented\r\nwith CR",
    "“Quoted” – it’s ‘fine’…",
    "naïve café, Übergröße",
    "Österreich und die Schweiz liegen in Mitteleuropa.",
    "Le renard brun saute par-dessus le chien paresseux.",
    "El veloz murciélago hindú comía feliz cardillo y kiwi.",
    "Съешь же ещё этих мягких французских булок.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "Zażółć gęślą jaźń.",
    "Pijamalı hasta yağız şoföre çabucak güvendi.",
    "敏捷的棕色狐狸跳过了懒狗。",
    "いろはにほへと ちりぬるを、東京タワー。",
    "키스의 고유조건은 입술끼리 만나야 하고",
    "नमस्ते दुनिया, आप कैसे हैं?",
    "สวัสดีชาวโลก",
    "صباح الخير يا عالم، كيف الحال؟",
    "שלום עולם, מה שלומך?",
    "வணக்கம் உலகம்",
    "გამარჯობა მსოფლიო",
    "Xin chào thế giới",
    "👍🏽 family 👨‍👩‍👧 and 🚀",
    "½ cup, 5 €, №7, x² ≠ √y",
    "e\u0301 = é, x\u0323\u0301",
    "a\u00a0b\u2003c\u200bd",
    "\u0000\u0007\x1b[31mred\x1b[0m",
)


def count(python: str, code: str, *texts: object) -> dict[str, list[Any]]:
    """What a counter says, in a process of its own."""
    asked = json.dumps([FAMILIES, *texts])
    done = subprocess.run([python, "-c", code], input=asked, capture_output=True, text=True, check=True, cwd=ROOT)
    result: dict[str, list[Any]] = json.loads(done.stdout)
    return result


def collect(chance: random.Random) -> Iterator[tuple[str, str]]:
    """(kind, text): pieces of this machine's files, as many of each kind."""
    found: dict[str, list[Path]] = {}
    for place in PLACES:
        for folder, folders, names in os.walk(place):
            folders[:] = sorted(set(folders) - {".git", "node_modules", "__pycache__"})
            for name in sorted(names):
                kind = name.rpartition(".")[2]
                if kind in KINDS:
                    found.setdefault(kind, []).append(Path(folder, name))
    for kind, paths in sorted(found.items()):
        chance.shuffle(paths)
        texts = (piece for path in paths[: 8 * EACH] if (piece := _piece(path, chance)))
        for _, text in zip(range(EACH), texts, strict=False):
            yield kind, text


def _piece(path: Path, chance: random.Random) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    start = chance.randrange(max(1, len(text) - LENGTHS[-1]))
    piece = text[start : start + chance.choice(LENGTHS)]
    return piece.rstrip("\n") if len(piece) > 200 else ""


def conversations(texts: list[str], chance: random.Random) -> list[list[str]]:
    """Texts cut into 15 to 60 blocks at line ends."""
    cut = []
    for _ in range(40):
        lines = "\n".join(chance.sample(texts, 12)).splitlines(keepends=True)
        size = max(1, len(lines) // chance.randint(15, 60))
        cut.append(["".join(lines[at : at + size]) for at in range(0, len(lines), size)])
    return cut


def report(name: str, errors: list[float]) -> str:
    """One line of the table; errors are shares."""
    ranked = sorted(map(abs, errors))
    exact = sum(error == 0 for error in ranked) / len(ranked)
    middle, p95, most = (100 * ranked[min(len(ranked) - 1, int(part * len(ranked)))] for part in (0.5, 0.95, 1))
    return f"{name:24}{len(ranked):>6}{exact:>9.1%}{middle:>10.2f}{p95:>10.2f}{most:>10.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True, metavar="PYTHON")
    parser.add_argument("--record", type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    asked = parser.parse_args()
    if asked.record:
        counts = count(asked.reference, REFERENCE, [text.rstrip("\n") for text in EXAMPLES])
        rows = [
            {"text": text.rstrip("\n"), **{name: counts[name][at] for name in FAMILIES}} for at, text in enumerate(EXAMPLES)
        ]
        asked.record.write_text(json.dumps(rows, indent=1) + "\n")
        return
    chance = random.Random(asked.seed)  # noqa: S311 - texts are drawn, not secrets
    kinds, texts = zip(*collect(chance), strict=True)
    cut = conversations(list(texts), chance)
    whole = ["".join(blocks).rstrip("\n") for blocks in cut]
    right = count(asked.reference, REFERENCE, [*texts, *whole])
    cut = [[*blocks[:-1], blocks[-1].rstrip("\n")] for blocks in cut]
    ours = count(sys.executable, OURS, texts, cut)
    print(f"seed {asked.seed}\n{'':24}{'texts':>6}{'exact':>9}{'median %':>10}{'p95 %':>10}{'max %':>10}")
    for name in FAMILIES:
        errors = [mine / theirs - 1 for mine, theirs in zip(ours[name], right[name], strict=True)]
        print(report(name, errors[: len(texts)]))
        for kind in sorted(set(kinds)):
            print(report(f"  {kind}", [error for error, of in zip(errors, kinds, strict=False) if of == kind]))
        print(report("  conversations, summed", errors[len(texts) :]))
        new, seen = ours[f"{name} speed"]
        print(f"  {new} MB/s new, {seen} MB/s seen")


if __name__ == "__main__":
    main()
