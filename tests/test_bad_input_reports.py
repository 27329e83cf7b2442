"""What is said where bad input is left out, corrected or kept: who or which file, what was found, what was done or
is to be done."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest

import recording_fixtures as make
from bad_input_cases import judged_by_message
from clock_fixtures import device, events_of_two_devices
from clock_fixtures import pair_of as unaligned
from hyperscan.config import StudyConfig
from hyperscan.errors import ClockError, DataQualityWarning, QualityError
from hyperscan.pipeline.plan import comparable_rois, roi_findings
from hyperscan.recording import PairedRecording, align_pair, load_session, preprocess_pair
from pipeline_fixtures import summaries_without
from prepare_fixtures import CAP, Probe, backwards, brain, clean_pair, eeg_raw, fnirs_pair, pair_of
from test_study_findings import a_dyad, kinds

ROOT = Path("/study")
SHORT = StudyConfig(window_s=5.0)
LIGHT = StudyConfig(min_seconds=60.0)


@pytest.mark.parametrize("number", [*range(1, 38), *range(38, 61), 85])
def test_what_is_said_in_each_case_is_judged(number: int) -> None:
    assert judged_by_message(number)


# ---- the design


@pytest.mark.parametrize(
    ("case", "sessions", "kind", "words"),
    [
        (18, a_dyad("A", [1, 2, 5]), "missing_session", ("A: sessions 3, 4 are missing", "kept as they are", "add")),
        (19, a_dyad("A", [1]), "one_session", ("A: one session only", "cannot be estimated", "Add further")),
        (20, a_dyad("A", [1, 2]), "two_sessions", ("A: two sessions only", "no confidence interval", "Add further")),
        (21, a_dyad("A", [1, 2, 3], [0, 7, 35]), "unequal_spacing", ("A: 7 to 28 days", 'Set time = "weeks"')),
        (21, a_dyad("A", [1, 2, 3], [0, 7, None]), "days_missing", ("A: days", "not for session 3", "Fill them in")),
    ],
)
def test_sessions_of_a_dyad(case: int, sessions: list[object], kind: str, words: tuple[str, ...]) -> None:
    assert case in range(18, 22)
    make.check_message(kinds(sessions)[kind], ROOT, *words)


def test_channels_that_one_session_lacks() -> None:
    """Case 53: every region holds the same channels in all sessions of a person, and what that costs is said."""
    (finding,) = roi_findings(comparable_rois(summaries_without({"O1"}, set())))
    make.check_message(str(finding), ROOT, "C1 (D1, eeg)", "used in none: O1 (not in D1 ses-01 eeg)")


# ---- clocks


def aligned(a: mne.io.BaseRaw, b: mne.io.BaseRaw, **changes: object) -> PairedRecording:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return align_pair(unaligned(a, b, **changes))


def steady(seed: int, sfreq: float, seconds: float = 60.0, events: np.ndarray | None = None) -> mne.io.BaseRaw:
    return device(seed, np.arange(round(seconds * sfreq)) / sfreq, sfreq, events)


def test_rates_that_differ() -> None:
    """Case 22."""
    pair = aligned(steady(1, 512.0), steady(2, 250.0), clock="same_amplifier")
    for said in (pair.history, pair.clock.notes):
        make.check_note(said, ROOT, "t.edf: the therapist was resampled", "from 512 to 250 Hz")


def test_rates_that_almost_agree() -> None:
    """Case 23."""
    pair = aligned(steady(1, 500.0), steady(2, 499.99), clock="same_amplifier")
    make.check_note(pair.clock.notes, ROOT, "t.edf and c.edf", "500 and 499.99 Hz", "taken for one setting")


def test_lengths_that_differ() -> None:
    """Case 24."""
    pair = aligned(steady(1, 250.0, 40.0), steady(2, 250.0, 48.0), therapist_offset_s=100.0, client_offset_s=102.5)
    make.check_note(pair.clock.notes, ROOT, "cropped to common time", "3 s of the therapist's", "11 s of the client's")


def test_triggers_without_a_partner() -> None:
    """Case 29: counted where enough are left, refused with what is there where not."""
    a, b, *_ = events_of_two_devices(3)
    bouncing = np.sort(np.concatenate([a, a + 0.004, a + 0.011]))
    pair = aligned(steady(1, 25.0, 2700, bouncing), steady(2, 25.0, 2700, b[b > 0]), clock="triggers")
    make.check_note(pair.clock.notes, ROOT, "of the therapist's", "of the client's events have no partner")
    make.check_note(pair.history, ROOT, "put on the therapist's clock by triggers", "ppm", "matched", "ms rms")
    few = np.array([3.0, 7.7, 12.9, 40.0, 55.3]), np.array([3.0, 7.7, 80.0, 95.0, 103.0])
    regular = np.arange(1.0, 180.0, 10.0)
    for events, word in ((few, "only 2 of 5"), ((regular, regular[5:12]), "repeat regularly")):
        with pytest.raises(ClockError) as caught:
            aligned(*(steady(k, 25.0, 200, each) for k, each in enumerate(events)), clock="triggers")
        make.check_message(caught.value, ROOT, "t.edf and c.edf", word, "client_offset_s")


def test_codes_that_differ() -> None:
    """Case 30: the two sequences are matched whatever the codes are; a name that neither has is refused."""
    at = np.cumsum(np.random.default_rng(3).uniform(0.7, 1.9, 25)).round(2)
    a, b = steady(1, 100.0, 60.0, at), steady(2, 100.0, 60.0, at - 0.5)
    b.annotations.rename({"S1": "32769"})
    make.check_note(aligned(a, b, clock="triggers").history, ROOT, "by triggers (offset 0.500 s", "25 matched")
    with pytest.raises(ClockError) as caught:
        aligned(a, b, clock="triggers", sync_event="S 1")
    words = (
        "t.edf and c.edf",
        "'S 1'",
        "Therapist: 'S1' (25); client: '32769' (25)",
        "Correct sync_event to one of these names",
    )
    make.check_message(caught.value, ROOT, *words)


def test_a_clock_that_was_set_anew() -> None:
    """Case 33."""
    pulses = np.sort(np.random.default_rng(0).uniform(5, 980, 80))
    own = np.concatenate([np.arange(0, 500, 0.02), np.arange(504, 1000, 0.02)])
    seen = np.array([p if p < 500 else p - 4 for p in pulses if not 499 < p < 505])
    pair = aligned(steady(1, 50.0, 1000, pulses), device(2, own, 50.0, seen), clock="triggers")
    make.check_note(pair.clock.notes, ROOT, "a clock was set anew", "2 pieces were fitted separately")


def test_a_clock_that_bends() -> None:
    """Case 33."""
    times = np.sort(np.random.default_rng(2).uniform(5, 2690, 150))
    bend = 0.03 * ((times - 1350) / 1350) ** 2
    pair = aligned(steady(1, 25.0, 2700, times), steady(2, 25.0, 2700, times - 3 + bend), clock="triggers")
    make.check_note(pair.clock.notes, ROOT, "the drift changed", "a smooth curve was fitted")


@pytest.mark.parametrize(
    ("moved", "words"),
    [(3.0, ("1 gap or jump in the time stamps", "placed by its own stamps")), (-5.0, ("jump back", "left out"))],
)
def test_stamps_that_jump(tmp_path: Path, moved: float, words: tuple[str, ...]) -> None:
    """Case 34."""
    a, b = 1000.0 + np.arange(15_000) / 250.0, 1002.0 + np.arange(13_000) / 250.0
    b[6000:] += moved
    streams = [make.xdf_person(k, name, x, rate=250.0) for k, (name, x) in enumerate(zip("AB", (a, b), strict=True))]
    make.write_xdf(tmp_path / "b.xdf", streams)
    rules = {"therapist_channels": "stream:A", "client_channels": "stream:B"}
    pair = align_pair(load_session(make.session(tmp_path, "b.xdf", "b.xdf", **rules)))
    make.check_note(pair.clock.notes, tmp_path, "client: ", *words)


# ---- signals of EEG

Spoil = Callable[[PairedRecording], object]


def spoilt(spoil: Spoil, pair: PairedRecording | None = None) -> PairedRecording:
    pair = pair or clean_pair(4, 60.0)
    spoil(pair)
    return pair


def prepared(pair: PairedRecording, config: StudyConfig = SHORT) -> PairedRecording:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return preprocess_pair(pair, config)


def not_prepared(pair: PairedRecording, *words: str, config: StudyConfig = SHORT) -> None:
    with pytest.raises(QualityError) as caught:
        preprocess_pair(pair, config)
    make.check_message(caught.value, ROOT, *words)


def set_row(role: str, row: int, value: float, columns: slice = slice(None)) -> Spoil:
    def change(pair: PairedRecording) -> None:
        pair.raw(role)._data[row, columns] = value

    return change


def test_a_flat_channel() -> None:
    """Case 38."""
    pair = prepared(spoilt(set_row("client", CAP.index("C3"), 0.0)))
    make.check_note(pair.history, ROOT, "client: bad channels left out: C3 (flat in 100% of the recording)")
    make.check_quality(pair, "client", "31 of 32 channels")


def test_samples_without_a_value() -> None:
    """Case 39."""

    def change(pair: PairedRecording) -> None:
        pair.client._data[:, 2500:3000] = np.nan

    pair = prepared(spoilt(change))
    make.check_note(pair.history, ROOT, "client: marked as bad: 2.0 s without values")
    make.check_quality(pair, "client", "96% of the time clean", "3% without values or at a rail")
    assert not [note for note in pair.history if note.startswith("therapist")]


def test_samples_at_a_rail() -> None:
    """Case 40."""

    def change(pair: PairedRecording) -> None:
        x = pair.therapist._data
        x[4] = np.clip(x[4] + 2e-3 * (np.arange(x.shape[1]) // 2500 == 3), -1e-4, 1e-4)

    pair = prepared(spoilt(change))
    make.check_note(pair.history, ROOT, "therapist: marked as bad: 10.0 s at a rail")
    make.check_quality(pair, "therapist", "17% without values or at a rail")


def test_nothing_left() -> None:
    """Cases 41 and 42."""

    def all_flat(pair: PairedRecording) -> None:
        pair.client._data[:] = 0

    def all_marked(pair: PairedRecording) -> None:
        pair.client.set_annotations(mne.Annotations(0.0, 55.0, "BAD_x"))

    not_prepared(spoilt(all_flat), "D01 ses-01 eeg, client", "all 32 EEG channels are bad", "flat", "Check the units")
    words = ("D01 ses-01 eeg", "1 clean window of 5 s (5 s clean)", "min_windows = 3 (client)", "Lower window_s")
    not_prepared(spoilt(all_marked), *words)
    ecg = eeg_raw(np.random.default_rng(0).standard_normal((1, 9000)), names=["ECG"])
    words = ("D01 ses-01 eeg, therapist", "no EEG channel among 1 (ECG)", "Name the channels")
    not_prepared(pair_of(ecg, backwards(ecg)), *words)


def test_windows_of_too_few_cycles() -> None:
    """Case 43."""
    words = ("D01 ses-01 eeg", "window_s = 0.5 s holds 2.0 cycles of theta", "at least 3", "Set window_s to 0.75")
    not_prepared(clean_pair(4, 60.0), *words, config=StudyConfig(window_s=0.5))


def test_units_of_records_made_by_hand() -> None:
    """Case 44, where no file was read."""

    def louder(*roles: str) -> Spoil:
        def change(pair: PairedRecording) -> None:
            for role in roles:
                pair.raw(role)._data *= 1e6

        return change

    words = ("D01 ses-01 eeg", "differ", "-fold", "one file is in another unit", "Export both")
    not_prepared(spoilt(louder("client")), *words)
    with pytest.warns(DataQualityWarning) as heard:
        preprocess_pair(spoilt(louder("therapist", "client")), SHORT)
    for item, role in zip(heard, ("therapist", "client"), strict=True):
        make.check_message(item.message, ROOT, f"D01 ses-01 eeg, {role}", "is no EEG's", "check the file's unit")


def test_names_order_and_montage() -> None:
    """Cases 52, 54 and 55: old, prefixed and upper-case names become standard, whatever their order."""
    rng = np.random.default_rng(10)
    odd = ["EEG " + name.upper() for name in CAP]
    odd[CAP.index("T7")] = "T3"
    order = list(reversed(range(len(CAP))))
    client = eeg_raw(brain(rng)[order], names=[f"1_{CAP[at]}" for at in order])
    pair = prepared(pair_of(eeg_raw(brain(rng), names=odd), client))
    make.check_note(pair.history, ROOT, "therapist: channels renamed", "T3 -> T7", "EEG FP1 -> Fp1")
    make.check_note(pair.history, ROOT, "client: channels renamed", "1_AF4 -> AF4")
    boxes = [f"A{k}" for k in range(1, 11)]
    raws = [eeg_raw(brain(rng, names=CAP[:10]), names=boxes) for _ in range(2)]
    words = ("called after connectors (A1, ...)", "no positions are known", "regions are those of [rois]")
    make.check_note(prepared(pair_of(*raws)).history, ROOT, *words)


def test_channels_that_the_other_person_lacks() -> None:
    """Case 53: the two people are never intersected, and what each kept is counted."""
    rng = np.random.default_rng(11)
    pair = prepared(pair_of(eeg_raw(brain(rng)), eeg_raw(brain(rng, names=CAP[:18]), names=CAP[:18])))
    make.check_quality(pair, "therapist", "32 of 32 channels")
    make.check_quality(pair, "client", "18 of 18 channels")
    make.check_note(pair.history, ROOT, "client: average reference over 18 channels")


def test_online_filters_that_differ() -> None:
    """Case 56."""

    def filtered(**edges: float) -> Spoil:
        def change(pair: PairedRecording) -> None:
            for role, low in edges.items():
                with pair.raw(role).info._unlock():
                    pair.raw(role).info["highpass"] = low

        return change

    with pytest.warns(DataQualityWarning) as heard:
        pair = preprocess_pair(spoilt(filtered(therapist=0.1, client=0.5)), SHORT)
    words = ("different online filters", "0.1-125 Hz (therapist) and 0.5-125 Hz (client)")
    make.check_message(heard[0].message, ROOT, "D01 ses-01 eeg", *words, "check that both")
    make.check_note(pair.history, ROOT, *words)
    words = ("D01 ses-01 eeg, client", "10-125 Hz", "cuts into alpha (8-12 Hz)", "Export it unfiltered")
    not_prepared(spoilt(filtered(client=10.0)), *words)


def test_epochs_that_are_paired(tmp_path: Path) -> None:
    """Case 57."""
    for seed, (name, kept) in enumerate((("t-epo.fif", range(18)), ("c-epo.fif", range(2, 20)))):
        make.save_epochs(tmp_path / name, seed, kept)
    pair = load_session(make.session(tmp_path, "t-epo.fif", "c-epo.fif", clock="same_amplifier"))
    make.check_note(pair.history, tmp_path, "16 epochs")
    words = ("D1 ses-01 eeg", "window_s = 20 s is longer than every segment", "Set window_s to 1 or less")
    with pytest.raises(QualityError) as caught:
        preprocess_pair(align_pair(pair))
    make.check_message(caught.value, tmp_path, *words)


def test_a_reference_that_takes_a_rank() -> None:
    """Case 85."""
    make.check_note(prepared(clean_pair(4, 60.0)).history, ROOT, "average reference over 32 channels (rank 31)")


# ---- signals of fNIRS


def blood(*kinds: str) -> PairedRecording:
    rng = np.random.default_rng(0)
    raws = []
    for _ in range(2):
        names = [f"S{k}_D{k} {kind}" for k in (1, 2, 3) for kind in kinds]
        info = mne.create_info(names, 8.0, list(kinds) * 3)
        raws.append(mne.io.RawArray(1e-7 * rng.standard_normal((len(names), 2400)).cumsum(1), info, verbose="error"))
    return pair_of(*raws, "fnirs")


def test_haemoglobin_without_hbr() -> None:
    """Case 46."""
    with pytest.warns(DataQualityWarning) as heard:
        pair = preprocess_pair(blood("hbo"), LIGHT)
    make.check_note(pair.history, ROOT, "the recording holds HbO only", "HbR and HbT are not computed")
    make.check_note(pair.history, ROOT, "haemoglobin as recorded", "Beer-Lambert skipped")
    for item, role in zip(heard, ("therapist", "client"), strict=False):
        words = (f"D01 ses-01 fnirs, {role}", "3 channels have no optode positions", "Export the probe's positions")
        make.check_message(item.message, ROOT, *words)
    words = ("D01 ses-01 fnirs", "no short channels in therapist and client", "Check the probe")
    make.check_message(heard[-1].message, ROOT, *words)


def test_one_wavelength_of_a_channel() -> None:
    """Case 47."""
    pair, _ = fnirs_pair(3, 150.0)
    pair = prepared(pair.replace(client=pair.client.copy().drop_channels(["S1_D1 760"])), LIGHT)
    words = ("client: bad channels left out", "S1_D1 (wavelengths 850 nm, others have 760, 850 nm)")
    make.check_note(pair.history, ROOT, *words)
    make.check_quality(pair, "client", "3 of 4 channels")


def test_intensity_that_cannot_be() -> None:
    """Case 48."""
    pair, _ = fnirs_pair(3, 150.0)
    pair.client._data[0, 5] = -1.0
    pair.therapist._data[2:4] = 0.0
    pair = prepared(pair, LIGHT)
    for role, name in (("client", "S1_D1"), ("therapist", "S2_D2")):
        make.check_note(pair.history, ROOT, f"{role}: bad channels left out: {name} (intensity zero or negative")
        make.check_quality(pair, role, "3 of 4 channels")


def test_distances_of_a_probe() -> None:
    """Case 50."""
    nowhere, _ = fnirs_pair(3, 150.0)
    for ch in nowhere.client.info["chs"][:2]:
        ch["loc"][6:9] = ch["loc"][3:6]
    with pytest.warns(DataQualityWarning) as heard:
        pair = preprocess_pair(nowhere, LIGHT)
    words = ("D01 ses-01 fnirs, client", "2 channels without a source-detector distance", "Correct the probe")
    make.check_message(heard[0].message, ROOT, *words)
    make.check_note(pair.history, ROOT, "client: bad channels left out: S1_D1 (no source-detector distance)")
    in_mm, _ = fnirs_pair(3, 150.0)
    for ch in in_mm.client.info["chs"]:
        ch["loc"][:9] *= 1000
    make.check_note(prepared(in_mm, LIGHT).history, ROOT, "client: optode positions were stored in mm", "taken as such")
    with pytest.warns(DataQualityWarning) as heard:
        preprocess_pair(fnirs_pair(3, 150.0, probe=Probe(4, 0))[0], LIGHT)
    make.check_message(heard[0].message, ROOT, "D01 ses-01 fnirs", "no short channels", "Check the probe")
