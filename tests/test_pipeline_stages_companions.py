"""Every file of a recording of several changes, and files that no format declares: in place as in a new folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

import recording_fixtures as make
from hyperscan.pipeline import load_study, prepare_study
from pipeline_fixtures import edit_table, run, tree
from stale_fixtures import assert_as_fresh, keep_modality, read_rows
from stale_fixtures import write_table as write_rows


def _renamed_fdt(path: Path) -> list[Path]:
    make.write_set(path.with_name("before.set"), 3, fdt=True)
    path.with_name("before.set").rename(path)
    return [path, path.with_name("before.fdt")]


def _brainvision(path: Path) -> list[Path]:
    make.write_brainvision(path, 3)
    return [path, path.with_suffix(".eeg"), path.with_suffix(".vmrk")]


#: Recordings of several files: name, and what writes them and lists them.
SEVERAL: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "EEGLAB": ("x.set", _renamed_fdt),
    "BrainVision": ("x.vhdr", _brainvision),
}


def _sound(study: Path) -> list[Path]:
    noise = (3000 * np.random.default_rng(0).normal(size=(50_000, 2))).astype(np.int16)
    wavfile.write(study / "shared.wav", 500, noise)
    return [study / "shared.wav", study / "shared.json"]


def _table(study: Path) -> list[Path]:
    return [study / "shared.csv", study / "shared.json"]


@pytest.mark.slow
@pytest.mark.parametrize("write", [_sound, _table])
def test_a_changed_shared_signal_or_sidecar_is_taken_up(
    mine: Path, tmp_path: Path, write: Callable[[Path], list[Path]]
) -> None:
    signal, sidecar = write(mine)
    sidecar.write_text('{"StartTime": 0}' if signal.suffix == ".wav" else '{"StartTime": 0, "SamplingFrequency": 100}')
    rows = [row for row in read_rows(mine) if row["modality"] == "eeg"]
    write_rows(mine, [row | {"shared_file": signal.name} for row in rows])
    run(mine, tmp_path / "out")
    content = bytearray(signal.read_bytes())
    content[2000] ^= 1
    signal.write_bytes(content)
    assert_as_fresh(mine, tmp_path / "out", tmp_path / "fresh")
    sidecar.write_text(sidecar.read_text().replace(": 0", ": -1"))
    assert_as_fresh(mine, tmp_path / "out", tmp_path / "later")


@pytest.mark.slow
@pytest.mark.parametrize("name", SEVERAL)
def test_a_changed_companion_is_taken_up(mine: Path, tmp_path: Path, name: str) -> None:
    keep_modality(mine, "eeg")
    file, write = SEVERAL[name]
    written = write(mine / "dyad-01/ses-01" / file)
    edit_table(mine, "dyad-01/ses-01/therapist.edf", f"dyad-01/ses-01/{file}")
    run(mine, tmp_path / "out")
    for number, changed in enumerate(written):
        content = bytearray(changed.read_bytes())
        content[-9] ^= 1
        changed.write_bytes(content)
        assert_as_fresh(mine, tmp_path / "out", tmp_path / f"fresh{number}")


def test_what_a_reader_opens_undeclared_is_never_taken_over(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader to come may open what nobody thought of: an EEGLAB header may even name a file of another folder."""
    keep_modality(mine, "eeg")
    folder = mine / "dyad-01/ses-01"
    make.write_set(folder / "before.set", 3, fdt=True)
    (folder / "before.set").rename(folder / "x.set")
    edit_table(mine, "dyad-01/ses-01/therapist.edf", "dyad-01/ses-01/x.set")
    monkeypatch.setattr("hyperscan.pipeline.unit.files_of", lambda path: [path])
    monkeypatch.setattr("hyperscan.pipeline.prepare.files_of", lambda path: [path])
    run(mine, tmp_path / "out")
    table, config = load_study(mine)
    keys = [row.key for row in table.sessions]
    assert prepare_study(table.sessions, config, out=tmp_path / "prepared", only=keys) == []
    content = bytearray((folder / "before.fdt").read_bytes())
    content[2000] ^= 1
    (folder / "before.fdt").write_bytes(content)
    assert_as_fresh(mine, tmp_path / "out", tmp_path / "fresh")
    before = tree(tmp_path / "out")
    run(mine, tmp_path / "prepared")  # not even what check --prepare left for it
    assert tree(tmp_path / "prepared") == before
    run(mine, tmp_path / "out")
    assert tree(tmp_path / "out") == before
