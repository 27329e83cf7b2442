"""Every setting is changed, one at a time, and the run in place leaves what one in a new folder leaves."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hyperscan.schema import MODALITIES
from stale_fixtures import OTHER, SETTINGS, assert_as_fresh, keep_modality


@pytest.mark.slow
# a study without tasks has no contrast, and is refused with one; other analyses are no part of a run
@pytest.mark.parametrize("name", [name for name in OTHER if name not in ("contrasts", "multiverse")])
def test_a_changed_setting_is_taken_up(mine: Path, done: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    modality = next((each for each in MODALITIES if name.startswith(f"{each}_")), "")
    keep_modality(mine, modality)
    out = Path(shutil.copytree(done(modality), tmp_path / "out"))
    (mine / "study.toml").write_text(dataclasses.replace(SETTINGS, **{name: OTHER[name]}).to_toml())
    assert_as_fresh(mine, out, tmp_path / "fresh")
