"""MNE objects of two people are taken as their files would be."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

import hyperscan as hs
from hyperscan.errors import InputError, ReadError
from hyperscan.recording.memory import pairs_of, save_pairs

RATE = 128.0
NAMES = ["Fz", "Cz", "P3", "P4", "O1", "O2"]
CONFIG = hs.StudyConfig(
    metrics={"eeg": ("plv",)}, bands={"alpha": (8, 12)}, roi_pairs=("all-all",), window_s=4.0, min_windows=2
)


def raws(seed: int = 0, seconds: float = 60.0) -> tuple[mne.io.BaseRaw, mne.io.BaseRaw]:
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    shared = np.sin(2 * np.pi * 10 * np.arange(n) / RATE + 0.1 * rng.normal(size=n).cumsum())
    info, weights = mne.create_info(NAMES, RATE, "eeg"), np.linspace(0.1, 1.2, len(NAMES))[:, None]
    return tuple(
        mne.io.RawArray(1e-5 * (rng.normal(size=(len(NAMES), n)) + weights * shared), info, verbose="error")
        for _ in range(2)
    )  # type: ignore[return-value]


def epochs(seed: int = 0, equal: bool = False) -> tuple[mne.BaseEpochs, mne.BaseEpochs]:
    """Epochs of one list of events, of which each person lost others."""
    events = np.column_stack([np.arange(12) * 600 + 64, np.zeros(12, int), np.ones(12, int)])
    both = []
    for raw, lost in zip(raws(seed), ([2, 7], [2, 7] if equal else [0, 7, 9]), strict=True):
        metadata = pd.DataFrame({"trial": [f"t{k}" for k in range(12)]})
        mine = mne.Epochs(
            raw, events, tmin=0, tmax=4 - 1 / RATE, baseline=None, metadata=metadata, preload=True, verbose="error"
        )
        both.append(mine.drop(lost, verbose="error"))
    return both[0], both[1]


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_two_raws_give_what_their_files_give(tmp_path: Path) -> None:
    """The call of other toolboxes and the way over files are one computation."""
    mine = raws()
    direct = hs.compute_synchrony(*mine, config=CONFIG).to_data_frame()
    row = save_pairs(iter([hs.PairedRecording.from_raws(*mine)]), tmp_path)[0]
    pair = hs.preprocess_pair(hs.align_pair(hs.load_session(row)), CONFIG)
    pd.testing.assert_frame_equal(direct, hs.compute_synchrony(pair, config=CONFIG).to_data_frame())
    assert direct["estimate"].min() > 0.3  # the shared rhythm is there


def test_callers_objects_stay_as_they_were() -> None:
    therapist, client = raws()
    before = therapist.get_data().copy()
    hs.PairedRecording.from_raws(therapist, client)
    assert np.array_equal(therapist.get_data(), before)
    assert therapist.ch_names == NAMES


@pytest.mark.parametrize("key", [None, "trial", ("t", "c")])
def test_epochs_pair_by_what_survives_rejection(key: str | None) -> None:
    """Both people's k-th remaining epochs are other trials; the pair holds the eight trials that both kept."""
    a, b = epochs()
    given = key
    if isinstance(key, tuple):
        given = tuple(list(each.metadata["trial"]) for each in (a, b))
    pair = hs.PairedRecording.from_epochs(a, b, key=given)
    kept = [trial for trial in a.metadata["trial"] if trial in set(b.metadata["trial"])]
    assert len(pair.segments) == len(kept) == 8
    for role, mine in (("therapist", a), ("client", b)):
        wanted = mine[[list(mine.metadata["trial"]).index(trial) for trial in kept]].get_data(copy=True)
        assert np.array_equal(pair.raw(role).get_data(), np.hstack(list(wanted)))


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_two_epochs_are_a_call() -> None:
    """Every epoch is a window, unless the settings say otherwise."""
    sync = hs.compute_synchrony(*epochs(), metrics=["plv"], bands={"alpha": (8, 12)})
    assert sync.dataset.sizes["window"] == 8
    assert sync.dataset.attrs["window_s"] == 4.0
    # their times are those of the epochs laid end to end, not of the session
    figure = sync.plot("plv", "alpha", kind="windows", show=False)
    assert figure.axes[0].get_xlabel() == "Time in the epochs, end to end (s)"


def test_epochs_without_a_key_are_never_paired_by_position() -> None:
    info = mne.create_info(NAMES, RATE, "eeg")
    rng = np.random.default_rng(0)
    a, b = (mne.EpochsArray(1e-5 * rng.normal(size=(5, 6, 512)), info, verbose="error") for _ in range(2))
    with pytest.raises(ReadError, match="nothing says which"):
        hs.PairedRecording.from_epochs(a, b)
    for key, fault in (
        (([1, 1, 2, 3, 4], [1, 2, 3, 4, 5]), "two epochs"),
        ("trial", "no such column"),
        (([1], [1]), "one each"),
    ):
        with pytest.raises(InputError, match=fault):
            hs.PairedRecording.from_epochs(a, b, key=key)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda a, b: hs.compute_synchrony(a), "the client too"),
        (lambda a, b: hs.compute_synchrony(a, ["plv"]), "Metrics go by name"),
        (lambda a, b: hs.compute_synchrony([a, a], [b, b]), "takes one session"),
        (lambda a, b: hs.compute_synchrony([a, b]), "takes one session"),
        (lambda a, b: hs.compute_synchrony(a, b.get_data()), "expected a Raw or Epochs"),
        (lambda a, b: hs.PairedRecording.from_raws(a, a), "same samples"),
        (lambda a, b: hs.PairedRecording.from_raws(a, b, modality="fnirs"), "holds no fnirs"),
        (lambda a, b: hs.PairedRecording.from_raws(a, b, sesion=2), "Did you mean 'session'"),
        (lambda a, b: hs.run_study({}), "empty mapping"),
        (lambda a, b: hs.run_study({"D1": a}), "expected {"),
        (lambda a, b: hs.run_study({("D1", 1): (a,)}), "expected two Raw"),
    ],
)
def test_what_is_no_pair_is_refused_with_a_remedy(call: object, fault: str) -> None:
    with pytest.raises((InputError, ReadError), match=fault):
        call(*raws(seconds=20))  # type: ignore[operator]


def test_a_list_of_pairs_counts_sessions_and_equal_data_give_equal_files(tmp_path: Path) -> None:
    """A run that is started again with the same objects finds its results."""
    study = {"D1": [raws(1), raws(2)], ("D2", 3): hs.PairedRecording.from_epochs(*epochs(), therapist="T1", days=14)}
    rows = [save_pairs(pairs_of(study), tmp_path / name) for name in ("a", "b")]  # type: ignore[arg-type]
    assert [(row.dyad, row.session, row.therapist, row.days) for row in rows[0]] == [
        ("D1", 1, "TD1", None),
        ("D1", 2, "TD1", None),
        ("D2", 3, "T1", 14),
    ]
    for one, other in zip(*rows, strict=True):
        assert one.therapist_file.read_bytes() == other.therapist_file.read_bytes()
    back = hs.load_session(rows[0][2])
    assert np.array_equal(back.client.get_data(), study["D2", 3].client.get_data())  # type: ignore[index, union-attr]


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_a_study_in_memory_runs() -> None:
    study = {
        (dyad, session): hs.PairedRecording.from_raws(*raws(10 * k + session, 20), clock="same_amplifier")
        for k, dyad in enumerate(("D1", "D2"))
        for session in (1, 2)
    }
    result = hs.run_study(study, CONFIG)
    assert len(result.table[["dyad", "session"]].drop_duplicates()) == 4
    assert set(result.quality["clock_source"]) == {"same_amplifier"}


@pytest.mark.parametrize("column", ["therapist_channels", "client_channels"])
def test_a_channel_rule_that_nobody_would_follow_is_refused(column: str) -> None:
    with pytest.raises(InputError, match=f"{column} chooses a part of a file"):
        hs.PairedRecording.from_raws(*raws(), **{column: "1-3"})
