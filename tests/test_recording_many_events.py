"""Reading takes time in proportion to the number of events, pauses and marks, in every format that can hold them."""

from __future__ import annotations

import ast
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import scipy.io

import format_fixtures as formats
import hyperscan
import recording_fixtures as make
from hyperscan.recording.annotations import fresh_raw, with_events
from hyperscan.recording.files.bids import merge_events
from hyperscan.recording.pauses import mark_boundaries
from hyperscan.recording.read import read_person
from hyperscan.study.formats import FORMATS

#: So many events, one in each STEP samples.
MANY, STEP = 400, 40
PLACES = [STEP * k + 20 for k in range(MANY)]
N_TIMES, SECONDS = STEP * MANY, STEP * MANY / 100

pytestmark = pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")


def many_fif(path: Path) -> None:
    """Annotations, of which every second one is a break, and as many triggers."""
    line = np.zeros((1, N_TIMES))
    line[0, PLACES] = 7
    info = mne.create_info([*make.CHANNELS, "STI"], 100.0, ["eeg"] * 4 + ["stim"])
    raw = mne.io.RawArray(np.vstack([make.noise(1, 4, N_TIMES), line]), info, verbose="ERROR")
    texts = ["x", "BAD boundary"] * (MANY // 2)
    raw.set_annotations(mne.Annotations(np.array(PLACES) / 100 + 0.1, 0.0, texts))
    raw.save(path, verbose="ERROR")


def many_edf(path: Path) -> None:
    make.write_edf(path, 1, seconds=SECONDS, annotations=[(at / 100, "x") for at in PLACES])


def many_brainvision(path: Path) -> None:
    """Markers, and pauses of half a second after each of them."""
    make.write_brainvision(path, 1, seconds=SECONDS, markers=[("Stimulus", "S  1", at + 5) for at in PLACES])
    began, beside = datetime.datetime(2024, 3, 1, 10), path.with_suffix(".vmrk")
    rows = [
        f"Mk{MANY + k + 2}=New Segment,,{at},1,0,{began + datetime.timedelta(seconds=at / 100 + k / 2):%Y%m%d%H%M%S%f}"
        for k, at in enumerate(PLACES, start=1)
    ]
    beside.write_text(beside.read_text() + "\r\n".join(rows) + "\r\n")


def many_eeglab(path: Path) -> None:
    make.write_set(path, 1, seconds=SECONDS, events=[("boundary", at + 0.5, 50.0) for at in PLACES])


def many_persyst(path: Path) -> None:
    formats.write_persyst(path, 1)
    path.with_suffix(".dat").write_bytes(np.zeros((N_TIMES, 4), "<i2").tobytes())
    times = "".join(f"{at}={36_000 + at / 100 + k / 2}\n" for k, at in enumerate([0, *PLACES]))
    comments = "".join(f"{at / 100},0.0,0,100,x\n" for at in PLACES)
    path.write_text(f"{path.read_text()}{comments}[SampleTimes]\n{times}")


def many_eximia(path: Path) -> None:
    data = np.zeros((N_TIMES, 64), "<i2")
    data[PLACES, 0] = 30_000
    path.write_bytes(data.tobytes())


def many_xdf(path: Path) -> None:
    """Markers, and a few pauses."""
    stamps = 100 + np.arange(N_TIMES) / 100 + 2.0 * (np.arange(N_TIMES) // (10 * STEP))
    marker = {"name": "M", "type": "Markers", "format": "string", "data": ["x"] * MANY, "stamps": stamps[PLACES]}
    make.write_xdf(path, [make.xdf_person(1, "A", stamps), marker])


def many_snirf(path: Path) -> None:
    make.write_snirf(path, 1, seconds=10 * SECONDS, stimuli=[at / 10 for at in PLACES])


def many_homer(path: Path) -> None:
    """Stimuli, stretches that were taken out by hand, and gaps."""
    times = np.arange(N_TIMES) / 10 + 2.0 * (np.arange(N_TIMES) // STEP)
    make.write_nirs(path, 1, n=N_TIMES, times=times)
    held = {key: value for key, value in scipy.io.loadmat(path).items() if key[0] != "_"}
    up = np.zeros((N_TIMES, 1))
    up[PLACES] = 1
    scipy.io.savemat(path, held | {"s": up, "tIncMan": 1 - up}, appendmat=False)


def many_numbers(path: Path) -> None:
    """A table with events beside it, as BIDS has them."""
    formats.declare(path)
    data = 1e6 * make.noise(1, 4, N_TIMES).T
    if path.suffix == ".mat":
        scipy.io.savemat(path, {"eeg": data})
    else:
        np.savetxt(path, data, delimiter=",", fmt="%.1f")


#: How a recording with many events is written, by its format.
WRITERS: dict[str, Callable[[Path], Any]] = {
    "FIF": many_fif,
    "EDF": many_edf,
    "BDF": many_edf,
    "BrainVision": many_brainvision,
    "EEGLAB": many_eeglab,
    "EGI": lambda path: formats.write_egi(path, 1, pulses=PLACES, n_times=N_TIMES),
    "GDF": lambda path: formats.write_gdf(path, 1, pulses=PLACES, n_times=N_TIMES),
    "CNT": lambda path: formats.write_cnt(path, 1, pulses=PLACES, n_times=N_TIMES),
    "Persyst": many_persyst,
    "eximia": many_eximia,
    "XDF": many_xdf,
    "SNIRF": many_snirf,
    "Homer": many_homer,
}

#: Formats without one, and why.
NONE = {
    "EGI MFF": "events are in files of their own, which MNE reads",
    "ANT CNT": "its reader cannot read what its writer makes",
    "Curry": "its reader is not installed",
    "Nicolet": "holds no events",
    "NIRx": "there are real recordings only, which MNE reads",
    "Hitachi": "there are real recordings only, which MNE reads",
    "BOXY": "there are real recordings only, which MNE reads",
    "MATLAB": "holds numbers only",
    "table": "holds numbers only",
}


def test_every_format_is_here() -> None:
    assert WRITERS.keys() | NONE.keys() == {form.name for form in FORMATS}


@pytest.mark.parametrize("name", WRITERS)
def test_events_cost_time_in_proportion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """However many there are, annotations are made a few times: each addition would sort all of them again."""
    example = formats.EXAMPLES[name]
    WRITERS[name](tmp_path / example.name)
    sorts, sort = [0], mne.Annotations._sort

    def counted(self: mne.Annotations) -> Any:
        sorts[0] += 1
        return sort(self)

    monkeypatch.setattr(mne.Annotations, "_sort", counted)
    rule = "stream:A" if name == "XDF" else None
    found = read_person(tmp_path / example.name, rule, modality=example.modality, name=example.name)
    assert isinstance(found.data, mne.io.BaseRaw)
    raw, _ = mark_boundaries(with_events(fresh_raw(found.data)))
    assert len(raw.annotations) >= MANY
    assert sorts[0] < 50


def test_no_annotation_is_added_alone() -> None:
    """A list's ``append`` takes one thing, that of annotations three."""
    texts = {path.name: path.read_text() for path in (Path(hyperscan.__file__).parent / "recording").rglob("*.py")}
    found = [
        f"{name}:{node.lineno}"
        for name, text in texts.items()
        if ".append(" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "append" and len(node.args) > 1
    ]
    assert len(texts) > 20
    assert found == []


def spent(work: Callable[[int], object], many: int) -> float:
    """Processor time in s, the shorter one of two: what else the machine does takes time, too."""
    took = []
    for _ in range(2):
        began = time.process_time()
        work(many)
        took.append(time.process_time() - began)
    return min(took)


def a_raw(n: int) -> Any:
    return mne.io.RawArray(np.zeros((1, STEP * n)), mne.create_info(["Cz"], 100.0, "eeg"), verbose="ERROR")


def merged(n: int) -> None:
    """Rows of ``events.tsv``, which name every event of the recording."""
    raw, onset = a_raw(n), np.arange(n) * STEP / 100
    raw.set_annotations(mne.Annotations(onset, 0.0, "x"))
    assert merge_events(raw, onset + 0.001, np.zeros(n), np.full(n, "y")) == (n, 0, 0)


def bounded(n: int) -> None:
    """Places where a recording was cut."""
    raw = a_raw(n)
    raw.set_annotations(mne.Annotations((np.arange(n) + 0.5) * STEP / 100, 0.0, "boundary"))
    assert mark_boundaries(raw)[1] == n


@pytest.mark.parametrize("work", [merged, bounded])
def test_eight_times_as_many_take_about_eight_times_as_long(work: Callable[[int], object]) -> None:
    assert spent(work, 4000) < 24 * spent(work, 500)  # 8 in proportion, 64 by squares


def test_markers_of_xdf_belong_to_the_nearer_piece(tmp_path: Path) -> None:
    """Within a piece by its line, between two by that of the nearer one, outside of all by the first or the last."""
    stamps = np.concatenate([100 + np.arange(1000) / 100, 130 + np.arange(1000) / 100])
    told = [100.5, 109.9, 112.0, 128.0, 131.0, 139.5]
    marker = {"name": "M", "type": "Markers", "format": "string", "data": list("abcdef"), "stamps": told}
    make.write_xdf(tmp_path / "t.xdf", [make.xdf_person(1, "A", stamps), marker])
    raw = read_person(tmp_path / "t.xdf", "stream:A", modality="eeg", name="t.xdf").data
    # on the recording's own samples: the second piece begins at 10 s
    assert raw.annotations.onset == pytest.approx([0.5, 8.0, 9.9, 11.0, 12.0, 19.5], abs=0.01)
    assert list(raw.annotations.description) == ["a", "d", "b", "e", "c", "f"]
