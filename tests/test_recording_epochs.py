"""Epochs of two people are paired by what survives rejection, in every format that holds epochs; never by position."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import mne
import numpy as np
import pytest
import scipy.io

import hyperscan as hs
import recording_fixtures as make
from hyperscan.errors import ClockError, DataQualityWarning, ReadError
from hyperscan.recording.files.epochs import common_epochs, keys_of_mne
from hyperscan.recording.memory import save_pairs
from hyperscan.recording.read import channel_names, load_heads
from hyperscan.recording.records import EpochKeys

N_ALL, SFREQ = 20, 100.0
#: Rejected epochs of therapist and client; as many in both, more in one, none in one, at the ends.
REJECTED = {
    "as many": ([2, 7], [4, 11]),
    "more in one": ([1, 2, 3, 9], [5]),
    "none in one": ([], [0, 6]),
    "at the ends": ([0, 1], [18, 19]),
}


def epochs_data(seed: int, width: int = 100) -> np.ndarray:
    """Epochs of noise in V, shape (n_epochs, n_channels, n_times); sample 10 of epoch k holds k microvolts."""
    data = make.noise(seed, 4, N_ALL * width).reshape(4, N_ALL, -1).transpose(1, 0, 2)
    data[:, :, 10] = 1e-6 * np.arange(N_ALL)[:, None]
    return data


def kept_of(rejected: Sequence[int]) -> list[int]:
    return [k for k in range(N_ALL) if k not in set(rejected)]


def fif(path: Path, seed: int, rejected: Sequence[int], at: np.ndarray | None, *, drop: bool) -> None:
    """Write epochs cut at given samples; without ``drop``, what was left out leaves no trace."""
    info = mne.create_info(list(make.CHANNELS), SFREQ, "eeg")
    data, kept = epochs_data(seed), kept_of(rejected)
    rows = np.arange(N_ALL) if drop else np.array(kept)
    events = (
        None if at is None else np.column_stack([at[: len(rows)], np.zeros(len(rows), int), np.ones(len(rows), int)])
    )
    epochs = mne.EpochsArray(data[rows], info, events, verbose="ERROR")
    if drop:
        epochs.drop(list(rejected), verbose="ERROR")
    epochs.save(path, overwrite=True, verbose="ERROR")


def eeglab(
    path: Path,
    seed: int,
    rejected: Sequence[int],
    *,
    before: int = 0,
    period: int = 100,
    extra: bool = False,
    first: int = 1,
    with_latency: bool = True,
    with_urevent: bool = True,
    in_epoch: bool = False,
    lost: int | None = None,
) -> None:
    """Write what EEGLAB leaves of epochs cut ``before`` samples in front of every event of a period.

    ``extra`` adds an event 20 samples before time 0 of every epoch; the recording's first event is at sample ``first``.
    The event ``lost`` never arrived, so all later numbers are one lower.
    """
    kept, width = [k for k in kept_of(rejected) if k != lost], 100
    rows, listed, number = [], [], 0
    for k in range(N_ALL):
        if k == lost:
            continue
        for shift in (-20, 0) if extra else (0,):
            number += 1
            listed.append(("go" if shift == 0 else "cue", first + k * period + shift if with_latency else np.nan))
            if k in kept:
                place = kept.index(k)
                urevent = float(number) if with_urevent else np.zeros((0, 0))
                rows.append((listed[-1][0], place * width + 1.0 + before + shift, place + 1.0, urevent))
    kinds = [("type", object), ("latency", object), ("epoch", object), ("urevent", object)]
    if in_epoch:
        rows = [(*row[:3], np.zeros((0, 0))) for row in rows]
    numbers = [k + 1.0 - (lost is not None and k > lost) if in_epoch else np.zeros((0, 0)) for k in kept]
    epoch = [(place + 1.0, "go", 0.0, number) for place, number in enumerate(numbers)]
    names = np.array([(name,) for name in make.CHANNELS], dtype=[("labels", object)])
    empty = dict.fromkeys(("icawinv", "icasphere", "icaweights", "icachansind"), np.array([]))
    content = {
        "setname": "s", "nbchan": 4.0, "trials": float(len(kept)), "pnts": float(width), "srate": SFREQ,
        "xmin": -before / SFREQ, "xmax": (width - 1 - before) / SFREQ, "times": np.arange(width) * 10.0,
        "data": 1e6 * epochs_data(seed)[kept].transpose(1, 2, 0), "chanlocs": names, "ref": "common",
        "event": np.array(rows, dtype=kinds),
        "urevent": np.array(listed, dtype=[("type", object), ("latency", object)]) if with_urevent else np.array([]),
        "epoch": np.array(epoch, dtype=[*((f"event{key}", object) for key in ("", "type", "latency", "urevent"))]),
        **empty,
    }  # fmt: skip
    scipy.io.savemat(path, {"EEG": content}, appendmat=False)


def pairs_right(root: Path, rejected: tuple[Sequence[int], Sequence[int]], how: str) -> None:
    """Assert that every common epoch, and no other, is next to its partner."""
    files = sorted(path.name for path in root.iterdir())
    pair = make.load(root, files[1], files[0])
    common = [k for k in range(N_ALL) if k not in {*rejected[0], *rejected[1]}]
    for raw in (pair.therapist, pair.client):
        np.testing.assert_allclose(1e6 * raw.get_data()[0, 10::100], common, atol=1e-4)
    assert any(f"paired by {how}" in line for line in pair.history)


IRREGULAR = 1000 + np.cumsum(np.random.default_rng(3).integers(120, 300, N_ALL))
SIDE_BY_SIDE = 100 * np.arange(N_ALL)

#: Files whose epochs bear a key that survives: how they are written, and the key.
TOLD: dict[str, tuple[str, Callable[[Path, int, Sequence[int]], None], str]] = {
    "FIF, irregular events": ("fif", lambda p, s, r: fif(p, s, r, IRREGULAR, drop=True), "event sample"),
    "FIF, samples of what is left": (
        "fif",
        lambda p, s, r: fif(p, s, r, IRREGULAR[kept_of(r)], drop=False),
        "event sample",
    ),
    "FIF, cut side by side": (
        "fif",
        lambda p, s, r: fif(p, s, r, SIDE_BY_SIDE, drop=True),
        "",
    ),
    "FIF, no samples but a log": (
        "fif",
        lambda p, s, r: fif(p, s, r, None, drop=True),
        "the number of the original epoch",
    ),
    "FIF, two clocks": (
        "fif",
        lambda p, s, r: fif(p, s, r, IRREGULAR + 777_001 * (s == 2), drop=True),
        "the number of the original epoch",
    ),
    "EEGLAB": ("set", eeglab, "event sample"),
    "EEGLAB, time before the event": ("set", lambda p, s, r: eeglab(p, s, r, before=30, period=230), "event sample"),
    "EEGLAB, several events": (
        "set",
        lambda p, s, r: eeglab(p, s, r, before=30, extra=True, period=170),
        "event sample",
    ),
    "EEGLAB, urevent in the epochs": (
        "set",
        lambda p, s, r: eeglab(p, s, r, period=170, in_epoch=True),
        "event sample",
    ),
    "EEGLAB, urevent without latency": (
        "set",
        lambda p, s, r: eeglab(p, s, r, with_latency=False),
        "the number of the original event",
    ),
    "EEGLAB, two clocks": (
        "set",
        lambda p, s, r: eeglab(p, s, r, period=211, first=1 + 77_013 * (s == 2)),
        "the number of the original event",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rejected", REJECTED.values(), ids=REJECTED)
@pytest.mark.parametrize(("ending", "write", "how"), TOLD.values(), ids=TOLD)
def test_epochs_pair_by_a_key_that_survives_rejection(
    tmp_path: Path, ending: str, write: Callable[..., None], how: str, rejected: tuple[list[int], list[int]]
) -> None:
    for seed, (stem, gone) in enumerate(zip("tc", rejected, strict=True), start=1):
        write(tmp_path / (f"{stem}-epo.fif" if ending == "fif" else f"{stem}.set"), seed, gone)
    pairs_right(tmp_path, rejected, how)


#: Files whose epochs bear none: counted within what is left, or not told.
UNTOLD: dict[str, tuple[str, Callable[[Path, int, Sequence[int]], None]]] = {
    "FIF, 0, 1, 2": ("fif", lambda p, s, r: fif(p, s, r, None, drop=False)),
    "FIF, laid end to end": ("fif", lambda p, s, r: fif(p, s, r, SIDE_BY_SIDE, drop=False)),
    "FIF, laid end to end, time before the event": (
        "fif",
        lambda p, s, r: fif(p, s, r, SIDE_BY_SIDE + 20, drop=False),
    ),
    "FIF, events at other places of what is left": (
        "fif",
        lambda p, s, r: fif(p, s, r, SIDE_BY_SIDE + np.random.default_rng(4).integers(0, 99, N_ALL), drop=False),
    ),
    "EEGLAB without urevent": ("set", lambda p, s, r: eeglab(p, s, r, with_urevent=False)),
    "EEGLAB without urevent, several events": (
        "set",
        lambda p, s, r: eeglab(p, s, r, before=30, extra=True, with_urevent=False),
    ),
}


@pytest.mark.parametrize("rejected", REJECTED.values(), ids=REJECTED)
@pytest.mark.parametrize(("ending", "write"), UNTOLD.values(), ids=UNTOLD)
@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_epochs_without_such_a_key_are_refused(
    tmp_path: Path, ending: str, write: Callable[..., None], rejected: tuple[list[int], list[int]]
) -> None:
    names = [f"{stem}-epo.fif" if ending == "fif" else f"{stem}.set" for stem in "tc"]
    for seed, (name, gone) in enumerate(zip(names, rejected, strict=True), start=1):
        write(tmp_path / name, seed, gone)
    make.refused(tmp_path, *names, "proves nothing")


def test_an_epoch_that_says_nothing_has_no_partner() -> None:
    keys = EpochKeys(4, np.array([10.0, np.nan, 30.0, 40.0]), rate=100.0)
    other = EpochKeys(3, np.array([np.nan, 40.0, 10.0]), rate=100.0)
    first, second, how = common_epochs(keys, other, "c.set")
    assert (first.tolist(), second.tolist(), how) == ([0, 3], [2, 1], "event sample")


def test_two_keys_that_contradict_each_other_are_refused() -> None:
    keys = EpochKeys(3, np.array([10.0, 20.0, 30.0]), np.array([0.0, 1.0, 2.0]), 5, logged=True, rate=100.0)
    other = EpochKeys(3, np.array([10.0, 20.0, 30.0]), np.array([0.0, 2.0, 3.0]), 5, logged=True, rate=100.0)
    with pytest.raises(ReadError, match="2 epochs of the two people have one sample"):
        common_epochs(keys, other, "c-epo.fif")


def test_blocks_joined_after_rejection_are_refused_or_right() -> None:
    info = mne.create_info(list(make.CHANNELS), SFREQ, "eeg")
    events = np.column_stack([SIDE_BY_SIDE, np.zeros(N_ALL, int), np.ones(N_ALL, int)])
    whole = mne.EpochsArray(epochs_data(1), info, events, verbose="ERROR")
    # MNE moves the samples of the second block by the last epoch that is left of the first one
    joined = [
        mne.concatenate_epochs([whole.copy().drop(gone, verbose="ERROR"), whole.copy()], verbose="ERROR")
        for gone in ([19], [3])
    ]
    with pytest.raises(ReadError, match="continuous files"):
        common_epochs(*map(keys_of_mne, joined), "c-epo.fif")


def test_samples_of_two_rates_are_no_common_key() -> None:
    keys = [EpochKeys(3, np.array([100.0, 250.0, 430.0]), rate=rate) for rate in (500.0, 1000.0)]
    with pytest.raises(ReadError, match="proves nothing"):
        common_epochs(*keys, "c-epo.fif")


# ---- whether paired epochs are of the same moments

RATE = 250.0


def cut(at: np.ndarray, lost: Sequence[int] = (), dropped: Sequence[int] = (), shift: int = 0) -> mne.Epochs:
    """Cut 1-s epochs from a recording that started ``shift`` samples late and missed some events, then reject some."""
    length = int(at[-1] - shift + 3 * RATE)
    seed = int(np.random.default_rng([shift, *lost, 99, *dropped]).integers(1e6))
    raw = mne.io.RawArray(make.noise(seed, 4, length), mne.create_info(list(make.CHANNELS), RATE, "eeg"))
    rows = np.delete(at - shift, list(lost))
    events = np.column_stack([rows, np.zeros(len(rows), int), np.ones(len(rows), int)])
    epochs = mne.Epochs(raw, events, tmin=0, tmax=1 - 1 / RATE, baseline=None, preload=True, verbose="ERROR")
    return epochs.drop(list(dropped), verbose="ERROR")


UNEVEN = 2000 + np.cumsum(np.random.default_rng(5).integers(300, 500, 30))
EVEN = 2000 + 500 * np.arange(30)


@pytest.mark.parametrize("at", [UNEVEN, EVEN, 2000 + np.cumsum(np.tile([250, 500, 750], 10))])
@pytest.mark.parametrize(
    ("lost_t", "lost_c", "shift"), [([3], [20], 1801), ([0], [15], 1801), ([3, 4], [5, 20], 777), ([3], [20], 0)]
)
def test_numbers_moved_by_a_lost_event_are_refused(at: np.ndarray, lost_t: list[int], lost_c: list[int], shift: int):
    """Both lists are as long, so every number between the lost events means another trial."""
    a, b = cut(at, lost_t, [25]), cut(at, lost_c, [26], shift)
    if shift == 0:  # samples tell which is which, and numbers contradict them
        with pytest.raises(ReadError, match="numbers of different ones"):
            hs.PairedRecording.from_epochs(a, b)
        return
    with pytest.raises(ReadError, match=r"not of the same moments: between .* s in the client's"):
        hs.PairedRecording.from_epochs(a, b)
    with pytest.warns(DataQualityWarning, match=r"not of the same moments.*Check the keys"):
        hs.PairedRecording.from_epochs(a, b, key=(range(len(a)), range(len(b))))


@pytest.mark.parametrize(("lost_t", "lost_c"), [(3, 15), (15, 3), (0, 10)])
@pytest.mark.parametrize("in_epoch", [False, True])
@pytest.mark.parametrize("period", [150, 211])
def test_numbers_of_eeglab_moved_by_a_lost_event_are_refused(
    tmp_path: Path, period: int, in_epoch: bool, lost_t: int, lost_c: int
) -> None:
    for name, seed, lost in (("t.set", 1, lost_t), ("c.set", 2, lost_c)):
        eeglab(tmp_path / name, seed, [5], period=period, first=1 + 77_013 * (seed - 1), lost=lost, in_epoch=in_epoch)
    make.refused(tmp_path, "t.set", "c.set", "the number of the original event are not of the same moments")


@pytest.mark.parametrize("shift", [0, 1801])
def test_uneven_events_of_both_are_shared_triggers(shift: int) -> None:
    pair = hs.PairedRecording.from_epochs(cut(UNEVEN, (), [2, 3]), cut(UNEVEN, (), [7], shift))
    assert len(pair.segments) == 27
    clock = hs.align_pair(pair).clock
    assert clock is not None
    assert (clock.source, clock.n_matched) == ("triggers", 27)
    assert clock.offset_s == pytest.approx(shift / RATE, abs=1e-9)
    assert clock.residual_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shift", [0, 1801])
@pytest.mark.parametrize("rejected", REJECTED.values(), ids=REJECTED)
def test_an_even_grid_aligns_nothing(shift: int, rejected: tuple[list[int], list[int]]) -> None:
    """`make_fixed_length_epochs` of two devices has the same samples whenever each one began."""
    pair = hs.PairedRecording.from_epochs(cut(EVEN, (), rejected[0]), cut(EVEN, (), rejected[1], shift))
    with pytest.warns(DataQualityWarning, match="an even grid lies in any two recordings"):
        assert hs.align_pair(pair).clock.source == "assumed"


def test_epochs_of_one_amplifier_have_its_samples() -> None:
    pair = hs.PairedRecording.from_epochs(cut(EVEN), cut(EVEN, (), [4]), clock="same_amplifier")
    assert hs.align_pair(pair).clock.known_to(16.0) == 0
    pair = hs.PairedRecording.from_epochs(cut(EVEN, (), [1]), cut(EVEN, (), [4], 1801), clock="same_amplifier")
    with pytest.raises(ClockError, match=r"cut up to 7.204 s apart"):
        hs.align_pair(pair)


@pytest.mark.parametrize("clock", ["offset", "timestamps"])
def test_epochs_cannot_be_moved(clock: str) -> None:
    with pytest.raises(ClockError, match="cannot be moved any more"):
        hs.align_pair(hs.PairedRecording.from_epochs(cut(UNEVEN), cut(UNEVEN, (), [4]), clock=clock))


def test_a_run_keeps_the_clock_of_epochs_in_memory(tmp_path: Path) -> None:
    """What goes through files comes back with the clock that it had."""
    for at, said in ((UNEVEN, "triggers"), (EVEN, "assumed")):
        pair = hs.PairedRecording.from_epochs(cut(at, (), [2]), cut(at, (), [7], 1801))
        row = save_pairs(iter([pair]), tmp_path / said)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)
            assert hs.align_pair(pair).clock.source == said
            assert hs.align_pair(hs.load_session(row)).clock.source == said


def test_heads_of_saved_epochs_are_read(tmp_path: Path) -> None:
    """`check` reads what `run` reads, also where a channel rule picks one of two people."""
    for name, seed in (("t-epo.fif", 1), ("c-epo.fif", 2)):
        fif(tmp_path / name, seed, [seed], IRREGULAR, drop=True)
    assert load_heads(make.session(tmp_path, "t-epo.fif", "c-epo.fif")).pair.segments
    assert channel_names(tmp_path / "t-epo.fif") == list(make.CHANNELS)
    assert make.load(
        tmp_path, "t-epo.fif", "c-epo.fif", therapist_channels="prefix:F", client_channels="prefix:C"
    ).therapist.ch_names


def test_what_make_fixed_length_epochs_cuts_is_paired() -> None:
    """The call of other toolboxes: nothing dropped, one epoch behind the other."""
    info = mne.create_info(list(make.CHANNELS), RATE, "eeg")
    both = [
        mne.make_fixed_length_epochs(mne.io.RawArray(make.noise(seed, 4, 10_000), info), 2, preload=True)
        for seed in (1, 2)
    ]
    assert len(hs.PairedRecording.from_epochs(*both).segments) == 20


@pytest.mark.parametrize(
    "row",
    [
        {"start_s": 3.0},
        {"stop_s": 9.0},
        {"segment_event": "talk"},
        {"client_offset_s": 2.0},
        {"therapist_offset_s": 2.0},
    ],
)
def test_rows_of_epochs_that_ask_for_a_part_or_a_place_in_time_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(ReadError, match=f"{next(iter(row))} is given, and the recordings are epochs"):
        hs.PairedRecording.from_epochs(cut(UNEVEN), cut(UNEVEN), **row)
    assert hs.PairedRecording.from_epochs(cut(UNEVEN), cut(UNEVEN, (), [4]), start_s=0.0).epoched
