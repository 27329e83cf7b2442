"""What pages say that a command prints is what it prints: of every command that takes seconds, not minutes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Commands that are typed here; a run takes minutes.
CHEAP = ("cp ", "rm ", "head ", "hyperscan init ", "hyperscan check ", "hyperscan power ")


def bash(lines: str, place: Path) -> str:
    """Type lines in a shell whose hyperscan is the one that is tested."""
    code = f'hyperscan() {{ "{sys.executable}" -m hyperscan "$@"; }}\n{lines}'
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(["bash", "-c", code], cwd=place, env=env, capture_output=True, text=True, check=False)
    return done.stdout


def fits(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; a line of three dots stands for any number of lines."""
    parts = [re.escape(line) if line != "..." else r"(?:.*\n)*?.*" for line in shown.splitlines()]
    return re.fullmatch(r"(?:.*\n)*?" + r"\n".join(parts) + r"\n*", printed) is not None


@pytest.mark.parametrize("page", ["tutorial", "choosing"])
def test_what_a_page_says_that_a_command_prints_is_printed(page: str, tmp_path: Path) -> None:
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    (tmp_path / "out").mkdir()
    printed, compared = "", 0
    for language, text in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text("utf-8")):
        if language == "python" and "out/my_study/dyads.tsv" in text:
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
        if language == "text" and printed:
            assert fits(text, printed), printed
            compared += 1
        cheap = language == "" and all(line.startswith(CHEAP) for line in text.splitlines())
        printed = bash(text, tmp_path) if cheap else ""
    assert compared == {"tutorial": 4, "choosing": 1}[page]
