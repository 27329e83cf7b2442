"""A whole dyad-session from its files, against the same people by MNE and HyPyP.

Ours: reading, one clock, preparation with bad channels and artefacts, three metrics in four bands and windows of 20 s,
and what the peers do not give: the lag null of 1000 shifts, the pair's own chance level, and the guards. The peers:
reading, filter, resampling, average reference, bands by filter and Hilbert transform, and the same three metrics (EEG);
optical density, TDDR, haemoglobin, filter, and wavelet coherence (fNIRS). Values are of other windows and cells, so
they are not compared; single steps are, in the other groups.
"""

from __future__ import annotations

import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cases_epochs import _peer as hypyp
from cases_session import _write_person
from cases_wavelet import _hypyp as hypyp_wtc
from numpy.typing import NDArray
from timing import Case, Job

from hyperscan.config import BANDS, StudyConfig
from hyperscan.pipeline.prepare import judge_row
from hyperscan.simulate import FnirsTruth, Optodes, simulate_fnirs
from hyperscan.simulate.fnirs import write_snirf
from hyperscan.study import Session
from hyperscan.synchrony import recipe_of, session_values, shared_windows

METRICS_USED = ("plv", "imcoh", "accorr")
WINDOW_S, PASSBAND, RATE = 20.0, (1.0, 40.0), 256.0
OPTODES, SLOW = Optodes(20, 4), BANDS["slow"]

#: Recordings that are kept for as long as the program runs.
_FOLDERS: list[Any] = []


def _ours(files: tuple[Path, Path], modality: str) -> Any:
    folder = files[0].parent
    row = Session("D1", "T1", "C1", 1, modality, *files, folder, clock="same_amplifier")
    config = StudyConfig(metrics={"eeg": METRICS_USED, "fnirs": ("wtc",)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, people = judge_row(row, config)
        a, b = people.values()
        recipe = recipe_of(config, modality)
        windows = shared_windows(a, b, recipe)
        return session_values(a, b, recipe, windows, n_null=1000, rng=np.random.default_rng(0)).cells


def _peer_eeg(files: tuple[Path, Path]) -> list[NDArray[Any]]:
    import mne

    people = []
    for path in files:
        raw = mne.io.read_raw_fif(path, preload=True, verbose="error").filter(*PASSBAND, verbose="error")
        people.append(raw.resample(RATE, verbose="error").set_eeg_reference("average", verbose="error"))
    out, n_window = [], round(WINDOW_S * RATE)
    for name in ("theta", "alpha", "beta", "gamma"):
        bands = [raw.copy().filter(*BANDS[name], verbose="error").apply_hilbert(verbose="error") for raw in people]
        z = np.concatenate([raw.get_data() for raw in bands])
        z = z[:, : z.shape[-1] // n_window * n_window].reshape(len(z), -1, n_window).swapaxes(0, 1)[:, None]
        out += [hypyp(metric, "numba", np.ascontiguousarray(z)) for metric in METRICS_USED]
    return out


def _peer_fnirs(files: tuple[Path, Path]) -> NDArray[Any]:
    from mne.io import read_raw_snirf
    from mne.preprocessing import nirs

    people = []
    for path in files:
        raw = nirs.optical_density(read_raw_snirf(path, preload=True, verbose="error"), verbose="error")
        raw = nirs.beer_lambert_law(nirs.temporal_derivative_distribution_repair(raw, verbose="error"), ppf=6.0)
        people.append(raw.filter(0.01, 0.5, verbose="error").resample(2.0, verbose="error").get_data(picks="hbo")[:20])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hypyp_wtc(*people)


def _job(small: bool, modality: str) -> Job:
    _FOLDERS.append(tempfile.TemporaryDirectory())
    folder, minutes = Path(_FOLDERS[-1].name), 2 if small else 10
    ending = "raw.fif" if modality == "eeg" else "light.snirf"
    files = folder / f"t_{ending}", folder / f"c_{ending}"
    n_channels = 16 if small else 64
    if modality == "eeg":
        for path in files:
            _write_person(path, n_channels, minutes, seed=ord(path.name[0]), sfreq=500.0)
    else:
        minutes = 5 if small else 45
        light = simulate_fnirs(FnirsTruth(0.5, 1.0), OPTODES, 8.0, 60.0 * minutes, np.random.default_rng(0))
        for path, data in zip(files, light, strict=True):
            write_snirf(path, data, OPTODES, 8.0)
    size = f"{n_channels} + {n_channels} channels, 500 Hz" if modality == "eeg" else "20 + 20 channels, 8 Hz"
    return Job(
        ours=partial(_ours, files, modality),
        peer=partial(_peer_eeg if modality == "eeg" else _peer_fnirs, files),
        difference=None,
        repeats=2,
        measure_memory=False,
        note=f"{size}, {minutes} min; ours with lag null, own chance and guards, the peers without any chance level",
    )


TOPIC = "a whole dyad-session from its files, vs MNE and HyPyP"
CASES = (
    Case(TOPIC, "EEG, plv, imcoh and accorr in 4 bands", "MNE + HyPyP", 4.0, partial(_job, modality="eeg")),
    Case(TOPIC, "fNIRS, wtc", "MNE + HyPyP", None, partial(_job, modality="fnirs")),
)
