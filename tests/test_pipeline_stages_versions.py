"""Every version is changed, one at a time, and the run in place leaves what one in a new folder leaves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperscan.pipeline.unit import all_versions
from stale_fixtures import assert_as_fresh, change_version


@pytest.mark.slow
@pytest.mark.parametrize("name", all_versions())
def test_a_changed_version_is_taken_up(
    two_modalities: Path, done: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = Path(shutil.copytree(done(""), tmp_path / "out"))
    change_version(monkeypatch, name)
    assert_as_fresh(two_modalities, out, tmp_path / "fresh")
