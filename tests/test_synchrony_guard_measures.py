"""Numbers of the guards, against plain definitions on simulated pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.recording import preprocess_pair
from hyperscan.schema import GUARD_COLUMNS
from hyperscan.synchrony import (
    GuardRow,
    GuardValues,
    Recipe,
    Signals,
    guard_row,
    guard_values,
    recipe_of,
    roi_table,
    shared_windows,
)
from hyperscan.synchrony.guard_measures import lag_beyond, phase_kept, steadiness
from hyperscan.synchrony.pair import WindowPair
from hyperscan.transforms import analytic_signal
from synchrony_fixtures import both, eeg_pair

CH_NAMES = ("Fz", "F3", "F4", "Pz", "O1", "O2")
SFREQ, SECONDS = 128.0, 61.0
CONFIG = StudyConfig(
    metrics={"eeg": ["plv", "ciplv"]}, bands={"alpha": (8, 12)}, roi_pairs=["posterior-posterior"], window_s=10.0
)
CONTROL = ("F3", "F4")


def people(seed: int, **truth: object) -> tuple[Signals, Signals]:
    return both(preprocess_pair(eeg_pair(CH_NAMES, SECONDS, seed, sfreq=SFREQ, **truth), CONFIG), CONFIG)


@pytest.fixture(scope="module")
def study() -> list[tuple[Signals, Signals]]:
    truth = {"coupled_fraction": 0.7, "lag_s": 0.025, "rhythm_gain": (0.5, 0.4)}
    return [people(seed, **truth) for seed in range(4)]


@pytest.fixture(scope="module")
def recipe(study: list[tuple[Signals, Signals]]) -> Recipe:
    matched = {p.person: float(np.mean(p.s2_line[[3, 4, 5]])) / 2 for both in study for p in both}
    return dataclasses.replace(recipe_of(CONFIG, "eeg"), control=CONTROL, n_windows=5, matched_s2=matched)


def plain_plv(a: Signals, b: Signals, names: tuple[str, ...], band: tuple[float, float], recipe: Recipe) -> np.ndarray:
    """Per window and channel pair, from the definition, in double precision."""
    windows = shared_windows(a, b, recipe)
    x, y = (analytic_signal(p.data["eeg"][p.indices(names)].astype(float), p.sfreq, band) for p in (a, b))
    out = []
    for i, j in zip(windows.therapist, windows.client, strict=True):
        u, v = (z[:, k : k + windows.n_window] for z, k in ((x, i), (y, j)))
        out.append(np.abs(np.exp(1j * (np.angle(u)[:, None] - np.angle(v)[None])).mean(-1)))
    return np.array(out)


POSTERIOR = ("Pz", "O1", "O2")


def row_of(study: list[tuple[Signals, Signals]], recipe: Recipe) -> tuple[GuardRow, list[tuple]]:
    a, b = study[0]
    partners = [(a, other) for _, other in study[1:]] + [(other, b) for other, _ in study[1:]]
    pseudo = [guard_values(x, y, recipe, shared_windows(x, y, recipe)) for x, y in partners]
    windows = shared_windows(a, b, recipe)
    real = guard_values(a, b, recipe, windows)
    return guard_row(a, b, recipe, windows, real, pseudo), partners


def test_attenuation_free_coupling_is_its_definition(study, recipe) -> None:
    row, partners = row_of(study, recipe)
    a, b = study[0]
    squared = (plain_plv(a, b, POSTERIOR, (8, 12), recipe) ** 2).mean(0)
    floor = np.mean([plain_plv(x, y, POSTERIOR, (8, 12), recipe) ** 2 for x, y in partners])
    for fit in ("line", "quad"):
        s2 = [getattr(p, f"s2_{fit}")[p.indices(POSTERIOR)] for p in (a, b)]
        weight = s2[0][:, None] * s2[1][None]
        assert getattr(row, f"g1_{fit}") == pytest.approx(np.mean((squared - floor) / (1 - floor) / weight), rel=2e-4)
        assert getattr(row, f"w_{fit}") == pytest.approx(weight.mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("column", "names", "band"),
    [("control_excess_z", CONTROL, (8.0, 12.0)), ("outband_excess_z", POSTERIOR, (26.0, 34.0))],
)
def test_controls_are_fisher_z_above_the_partners(study, recipe, column, names, band) -> None:
    row, partners = row_of(study, recipe)
    real, *chance = [np.arctanh(plain_plv(x, y, names, band, recipe)).mean() for x, y in [study[0], *partners]]
    assert getattr(row, column) == pytest.approx(real - np.mean(chance), abs=2e-5)


def test_lag_robust_measure_is_the_corrected_imaginary_plv(study, recipe) -> None:
    row, partners = row_of(study, recipe)

    def z(a: Signals, b: Signals) -> float:
        windows = shared_windows(a, b, recipe)
        x, y = (analytic_signal(p.data["eeg"][p.indices(POSTERIOR)].astype(float), p.sfreq, (8, 12)) for p in (a, b))
        values = []
        for i, j in zip(windows.therapist, windows.client, strict=True):
            phase = np.angle(x[:, None, i : i + windows.n_window]) - np.angle(y[None, :, j : j + windows.n_window])
            mean = np.exp(1j * phase).mean(-1)
            values.append(np.abs(mean.imag) / np.sqrt(1 - mean.real**2))
        return float(np.arctanh(values).mean())

    real, *chance = [z(x, y) for x, y in [study[0], *partners]]
    assert row.lag_robust_excess_z == pytest.approx(real - np.mean(chance), abs=2e-5)


def test_lag_pattern_has_the_sign_of_the_lead(recipe) -> None:
    truth = {"coupled_fraction": 0.9, "rhythm_gain": (1.0, 1.0)}
    rows = []
    for lag in (0.025, 0.0, -0.025):
        a, b = people(9, **truth, lag_s=lag)
        windows = shared_windows(a, b, recipe)
        values = guard_values(a, b, recipe, windows)
        row = guard_row(a, b, recipe, windows, values, [values])
        rows.append([row.imcoh_1, row.imcoh_2, row.imcoh_3, row.imcoh_4])
    lead, none, follow = np.array(rows)
    # a quarter of a cycle at 10 Hz, so nearly all of the coherency of .9 x the signal fractions is imaginary
    assert (lead > 0.5).all()
    assert (follow < -0.5).all()
    assert np.abs(none).max() < 0.25


def test_matched_noise_brings_synchrony_down(study, recipe) -> None:
    row, _ = row_of(study, recipe)
    a, b = study[0]
    untouched = np.arctanh(plain_plv(a, b, POSTERIOR, (8, 12), recipe)).mean()
    windows = shared_windows(a, b, recipe)
    # with both signal fractions halved the correlation, the root of their product times coupling, is halved
    assert guard_values(a, b, recipe, windows).matched_z == pytest.approx(untouched / 2, rel=0.25)
    same = dataclasses.replace(recipe, matched_s2=dict.fromkeys((a.person, b.person), 1.0))
    assert guard_values(a, b, same, windows).matched_z == pytest.approx(untouched, abs=1e-5)
    assert np.isfinite(row.matched_excess_z)


def test_real_and_repaired_people_share_one_path(study, recipe) -> None:
    """A client declared to be another dyad's gives the very numbers of the pair it is in."""
    (a, b), (_, other) = study[:2]
    swapped = dataclasses.replace(other, data=b.data, windows=b.windows, clean=b.clean)
    windows = shared_windows(a, b, recipe)
    for key, z in roi_table(a, b, recipe, windows).items():
        np.testing.assert_array_equal(roi_table(a, swapped, recipe)[key], z)
    real, pseudo = guard_values(a, b, recipe, windows), guard_values(a, swapped, recipe, windows)
    np.testing.assert_array_equal(real.plv_squared, pseudo.plv_squared)
    assert (real.control_z, real.outband_z, real.lag_robust_z) == (
        pseudo.control_z, pseudo.outband_z, pseudo.lag_robust_z,
    )  # fmt: skip


@pytest.mark.parametrize("off_ms", [0.0, 12.0, 16.0, 1000.0])
def test_no_offset_within_the_uncertainty_makes_a_lag_of_none(recipe, off_ms: float) -> None:
    """Coherency of what has no lag, seen through any offset that may be: what grows with it never rises."""
    known = dataclasses.replace(recipe, clock_uncertainty_ms=off_ms)
    middles = np.array([np.mean(band) for band in recipe.sub_bands])

    def growing(lag_ms: float, sign: int = 1) -> float:
        pattern = sign * np.exp(-2j * np.pi * middles * 1e-3 * lag_ms)
        return lag_beyond(0.4 * pattern, known) - lag_beyond(0.2 * pattern, known)

    for lag_ms in np.linspace(-min(off_ms, 25.0), min(off_ms, 25.0), 9):
        assert growing(lag_ms) < 1e-9
        assert growing(lag_ms, -1) < 1e-9
    assert (growing(25.0) > 0.05) == (off_ms < 25.0)
    assert (growing(-25.0) > 0.05) == (off_ms < 25.0)
    assert np.isnan(lag_beyond(np.full(4, np.nan), known))


def test_what_cannot_be_assessed_is_nan(study, recipe) -> None:
    a, b = study[0]
    windows = shared_windows(a, b, recipe)
    bare = dataclasses.replace(recipe, control=(), matched_s2={})
    unfitted = dataclasses.replace(a, s2_line=np.full(6, np.nan), s2_quad=np.full(6, np.nan))
    row = guard_row(unfitted, b, bare, windows, guard_values(unfitted, b, bare, windows),
                    [guard_values(*study[1], bare, shared_windows(*study[1], bare))])  # fmt: skip
    unknown = {name for name, value in dataclasses.asdict(row).items() if np.isnan(value)}
    fitted = {
        "g1_line", "g1_quad", "g1_high", "w_line", "w_quad", "w_high", "matched_excess_z", "control_excess_z",
        "outband_excess_z", "steadiness",
    }  # fmt: skip
    assert fitted <= unknown
    assert not unknown & {"lag_robust_excess_z", *(f"imcoh_{i}" for i in range(1, 5))}
    lonely = guard_row(a, b, recipe, windows, guard_values(a, b, recipe, windows), [])
    assert {name for name, value in dataclasses.asdict(lonely).items() if np.isfinite(value)} == {
        *(f"imcoh_{i}" for i in range(1, 5)),
        "lag_beyond",
        "steadiness",
        "phase_kept",
    }


def test_one_unfitted_partner_does_not_cost_the_chance_level(study, recipe) -> None:
    a, b = study[0]
    windows = shared_windows(a, b, recipe)
    good = guard_values(*study[1], recipe, shared_windows(*study[1], recipe))
    gap = dataclasses.replace(good, outband_z=float("nan"), plv_squared=np.full((3, 3), np.nan))
    real = guard_values(a, b, recipe, windows)
    assert guard_row(a, b, recipe, windows, real, [good, gap]) == guard_row(a, b, recipe, windows, real, [good])


def test_slower_sampling_leaves_the_band_open(study, recipe) -> None:
    a, b = (dataclasses.replace(p, sfreq=60.0) for p in study[0])
    windows = shared_windows(a, b, dataclasses.replace(recipe, window_s=10.0))
    assert np.isnan(guard_values(a, b, recipe, windows).outband_z)


def test_the_row_has_the_columns_of_the_table() -> None:
    assert tuple(item.name for item in dataclasses.fields(GuardRow)) == GUARD_COLUMNS
    for item in dataclasses.fields(GuardValues):
        if item.name.endswith("_z"):
            assert f"{item.name.removesuffix('_z')}_excess_z" in GUARD_COLUMNS


def test_nothing_is_said_where_the_region_is_not_there(study, recipe) -> None:
    a, b = (dataclasses.replace(p, rois={"all": p.rois["all"]}) for p in study[0])
    windows = shared_windows(a, b, recipe)
    real = guard_values(a, b, recipe, windows)
    assert real is None
    assert all(np.isnan(value) for value in dataclasses.astuple(guard_row(a, b, recipe, windows, real, [])))


def plain_phase_kept(a: Signals, b: Signals, recipe: Recipe) -> float:
    """Mean over pairs of different windows of Re(c c*), from coherencies of single windows."""
    windows, found = shared_windows(a, b, recipe), []
    freqs = np.fft.rfftfreq(windows.n_window, 1 / SFREQ)
    inside = (freqs >= 8) & (freqs <= 12)
    for i in a.indices(POSTERIOR):
        for j in b.indices(POSTERIOR):
            c = []
            for s, t in zip(windows.therapist, windows.client, strict=True):
                u = np.fft.rfft(a.data["eeg"][i, s : s + windows.n_window].astype(float))[inside]
                v = np.fft.rfft(b.data["eeg"][j, t : t + windows.n_window].astype(float))[inside]
                c.append(np.vdot(v, u) / np.linalg.norm(u) / np.linalg.norm(v))
            found.append(np.mean([(x * y.conjugate()).real for k, x in enumerate(c) for y in c[k + 1 :]]))
    return float(np.mean(found))


def test_a_phase_that_all_windows_share_is_told_from_one_of_each(study, recipe) -> None:
    a, b = study[0]
    windows = shared_windows(a, b, recipe)
    assert phase_kept(a, b, recipe, windows) == pytest.approx(plain_phase_kept(a, b, recipe), rel=1e-6)
    coupled = [phase_kept(x, y, recipe, shared_windows(x, y, recipe)) for x, y in study]
    assert min(coupled) > 0.05
    # tones a little apart lock in every window, at another phase each time
    t = np.arange(a.data["eeg"].shape[-1]) / SFREQ
    far = [
        dataclasses.replace(p, data={"eeg": p.data["eeg"] * 1e-3 + np.sin(2 * np.pi * f * t)})
        for p, f in ((a, 10.0), (b, 10.02))
    ]
    assert plain_plv(*far, POSTERIOR, (8, 12), recipe).mean() > 0.9
    assert phase_kept(*far, recipe, windows) < 0.1
    one = WindowPair(windows.therapist[:1], windows.client[:1], windows.n_window)
    assert np.isnan(phase_kept(a, b, recipe, one))


def test_theta_is_no_background_of_the_fit_from_above(study, recipe) -> None:
    a, b = study[0]
    windows, pseudo = shared_windows(a, b, recipe), [guard_values(*study[1], recipe, shared_windows(*study[1], recipe))]
    plain = guard_row(a, b, recipe, windows, guard_values(a, b, recipe, windows), pseudo)
    assert plain.w_high == pytest.approx(plain.w_line, abs=0.1)
    t = np.arange(a.data["eeg"].shape[-1]) / SFREQ
    theta = 2 * a.data["eeg"].std() * np.sin(2 * np.pi * np.array([3.0, 3.7, 4.4])[:, None] * t).sum(axis=0)
    more = [dataclasses.replace(p, data={"eeg": (p.data["eeg"] + theta).astype(np.float32)}) for p in (a, b)]
    found = guard_row(*more, recipe, windows, guard_values(*more, recipe, windows), pseudo)
    assert found.w_high == pytest.approx(plain.w_high, rel=0.02)


def in_spells(person: Signals, depth: float, seed: int) -> Signals:
    """The same person, its rhythm louder and softer over some seconds; mean power kept, background included."""
    rng = np.random.default_rng(seed)
    n = person.data["eeg"].shape[-1]
    slow = np.convolve(rng.normal(size=n + 256), np.hanning(257), mode="valid")
    strength = np.exp(depth * slow / slow.std())
    return dataclasses.replace(person, data={"eeg": person.data["eeg"] * strength / np.sqrt((strength**2).mean())})


def test_steady_rhythms_are_told_from_those_in_spells(study: list[tuple[Signals, Signals]], recipe: Recipe) -> None:
    steady, own, common = [], [], []
    for k, (a, b) in enumerate(study):
        windows = shared_windows(a, b, recipe)
        steady.append(steadiness(a, b, recipe, windows))
        apart = in_spells(a, 1.0, k), in_spells(b, 1.0, 100 + k)
        own.append(steadiness(*apart, recipe, windows))
        common.append(steadiness(in_spells(a, 1.0, k), in_spells(b, 1.0, k), recipe, windows))
    # noise of a band is as steady as the same with random phases, whatever its signal-to-noise ratio
    assert np.mean(steady) == pytest.approx(0.0, abs=0.1)
    assert np.mean(own) < -0.5
    assert np.mean(own) < np.mean(common) - 0.2


def test_a_course_over_the_session_is_no_steady_rhythm(study: list[tuple[Signals, Signals]], recipe: Recipe) -> None:
    """Louder from window to window, and steady within each of them."""
    found = []
    for depth in (0.0, 2.0):
        ramp = np.exp(depth * np.linspace(-0.5, 0.5, study[0][0].data["eeg"].shape[-1]))
        pairs = [[dataclasses.replace(p, data={"eeg": p.data["eeg"] * ramp}) for p in pair] for pair in study]
        found.append(np.mean([steadiness(a, b, recipe, shared_windows(a, b, recipe)) for a, b in pairs]))
    assert found[1] < found[0] - 0.1


def test_steadiness_does_not_depend_on_signal_to_noise(recipe: Recipe) -> None:
    found = []
    for gain in (0.3, 1.5):
        pairs = [people(seed, rhythm_gain=(gain, gain)) for seed in range(6)]
        found.append(np.mean([steadiness(a, b, recipe, shared_windows(a, b, recipe)) for a, b in pairs]))
    assert found[0] == pytest.approx(found[1], abs=0.12)


def test_steadiness_is_unknown_without_a_fraction(study: list[tuple[Signals, Signals]], recipe: Recipe) -> None:
    a, b = study[0]
    unknown = dataclasses.replace(a, s2_line=np.full_like(a.s2_line, np.nan))
    assert np.isnan(steadiness(unknown, b, recipe, shared_windows(a, b, recipe)))


def test_steadiness_is_unknown_in_windows_shorter_than_a_burst(
    study: list[tuple[Signals, Signals]], recipe: Recipe
) -> None:
    a, b = study[0]
    starts = np.arange(5) * 128
    assert np.isnan(steadiness(a, b, recipe, WindowPair(starts, starts, 128)))
