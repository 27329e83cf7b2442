"""The fNIRS of one person: short channels stay with their person, truth recovered, shared scalp waves gone."""

from __future__ import annotations

import dataclasses

import mne
import numpy as np
import pytest

from hyperscan.config import StudyConfig
from hyperscan.errors import ConfigError, DataQualityWarning, QualityError
from hyperscan.recording.cleaning.fnirs import differential_pathlength
from hyperscan.recording.cleaning.prepare import preprocess_pair
from hyperscan.recording.records import FnirsDecisions
from hyperscan.synchrony.person import _haemoglobin
from prepare_fixtures import (
    EXTINCTION,
    PPF,
    Probe,
    band_limited,
    fnirs_pair,
    fnirs_raw,
    hbo_of,
    mean_correlation,
    optical,
    pair_of,
    session_of,
    slow,
)

CONFIG = StudyConfig()


WITHOUT = dataclasses.replace(CONFIG, fnirs_short_regression=False)


BAND = (0.02, 0.10)


def _to_truth(raw, truth, sfreq=8.0):
    expected = band_limited(truth[:, :: round(sfreq / 2)], 2.0, BAND)
    found = band_limited(hbo_of(raw), 2.0, BAND)[:, : expected.shape[1]]
    inside = slice(60, -60)
    return float(np.mean([np.corrcoef(x[inside], y[inside])[0, 1] for x, y in zip(found, expected, strict=True)]))


def test_truth_is_recovered_and_in_molar():
    pair, truth = fnirs_pair(0, scalp_m=0.0)
    prepared = preprocess_pair(pair, WITHOUT)
    assert prepared.therapist.ch_names[:2] == ["S1_D1 hbo", "S1_D1 hbr"]
    assert prepared.therapist.info["sfreq"] == prepared.client.info["sfreq"] == 2.0
    assert prepared.therapist.n_times == prepared.client.n_times == 600
    for role, own in zip(("therapist", "client"), truth, strict=True):
        assert _to_truth(prepared.raw(role), own) > 0.95
        exact = preprocess_pair(pair, dataclasses.replace(WITHOUT, fnirs_tddr=False)).raw(role)
        assert hbo_of(exact).std() == pytest.approx(own.std(), rel=0.05)
        # motion correction shrinks large slopes somewhat
        assert 0.7 < hbo_of(prepared.raw(role)).std() / own.std() < 1.05
    hbr = prepared.therapist.get_data(picks=["S1_D1 hbr"])[0]
    assert np.corrcoef(hbo_of(prepared.therapist)[0], hbr)[0, 1] < -0.8


def test_scalp_waves_of_both_people_are_removed_with_their_synchrony():
    pair, truth = fnirs_pair(1, 600.0, common=1.0)
    before, after = preprocess_pair(pair, WITHOUT), preprocess_pair(pair, CONFIG)
    assert _to_truth(before.therapist, truth[0]) < 0.6
    assert _to_truth(after.therapist, truth[0]) > 0.9
    shared = [
        mean_correlation(*(band_limited(hbo_of(p.raw(role)), 2.0, BAND) for role in ("therapist", "client")))
        for p in (before, after)
    ]
    chance = []
    for seed in range(40, 44):
        other = preprocess_pair(fnirs_pair(seed, 600.0)[0], CONFIG)
        chance.append(
            mean_correlation(*(band_limited(hbo_of(other.raw(r)), 2.0, BAND) for r in ("therapist", "client")))
        )
    assert shared[0] > 0.6
    assert shared[1] < np.mean(chance) + 3 * np.std(chance, ddof=1)
    assert before.therapist.ch_names == after.therapist.ch_names
    assert after.quality.therapist["short_r2"] > 0.7
    assert before.quality.therapist["short_r2"] == pytest.approx(after.quality.therapist["short_r2"])
    assert any("2 short channels of the same person" in line for line in after.history)
    assert any("not regressed out" in line for line in before.history)


def test_other_persons_scalp_never_enters():
    """Two people in one raw, same montage: a wave of the therapist must not show up in the client."""
    rng = np.random.default_rng(2)
    n, sfreq = 4800, 8.0
    people = (Probe(first=1), Probe(first=101))
    wave = 5e-6 * np.sin(2 * np.pi * 0.05 * np.arange(n) / sfreq)
    own = [wave, 1e-6 * slow(n, sfreq, rng)]
    halves = [
        fnirs_raw(
            optical(0.3e-6 * np.array([slow(n, sfreq, rng) for _ in range(4)]), scalp, probe, sfreq, rng),
            probe,
        )
        for scalp, probe in zip(own, people, strict=True)
    ]
    both = halves[0].copy().add_channels([halves[1].copy()], force_update_info=True)
    client = both.copy().pick([name for name in both.ch_names if name.startswith("S10")])
    therapist = both.copy().pick([name for name in both.ch_names if not name.startswith("S10")])
    prepared = preprocess_pair(pair_of(therapist, client, "fnirs"))
    plain = preprocess_pair(pair_of(therapist, client, "fnirs"), WITHOUT)

    def amplitude(raw):
        x = hbo_of(raw)[:, 60:-60]
        t = np.arange(x.shape[1]) / 2.0
        return float(np.abs(x @ np.exp(-2j * np.pi * 0.05 * t)).mean() * 2 / x.shape[1])

    assert amplitude(plain.therapist) > 3e-6
    assert amplitude(prepared.therapist) < 0.1 * amplitude(plain.therapist)
    assert amplitude(prepared.client) < 1.2 * amplitude(plain.client)
    alone = preprocess_pair(pair_of(halves[0], halves[1], "fnirs"))
    np.testing.assert_allclose(hbo_of(prepared.client), hbo_of(alone.client), atol=1e-12)


def test_jumps_are_corrected():
    pair, truth = fnirs_pair(6, scalp_m=0.0)
    clean = _to_truth(preprocess_pair(pair, WITHOUT).therapist, truth[0])
    rng = np.random.default_rng(0)
    for raw in (pair.therapist, pair.client):
        for at in (600, 1100, 1700):
            raw._data[:, at:] *= np.exp(0.15 * rng.choice([-1, 1]))
    kept = StudyConfig(fnirs_min_sci=0.0, fnirs_short_regression=False)
    plain = _to_truth(preprocess_pair(pair, dataclasses.replace(kept, fnirs_tddr=False)).therapist, truth[0])
    corrected = preprocess_pair(pair, kept)
    assert plain < 0.9 * clean
    assert _to_truth(corrected.therapist, truth[0]) > 0.97 * clean
    assert corrected.quality.therapist["motion"] == pytest.approx(3 / 300, abs=0.02)
    assert corrected.quality.therapist["motion_overlap"] > 0.005


def test_no_short_channels_is_loud():
    pair, _ = fnirs_pair(11, probe=Probe(n_short=0))
    with pytest.warns(DataQualityWarning, match="no short channels in therapist and client"):
        prepared = preprocess_pair(pair)
    assert np.isnan(prepared.quality.therapist["short_r2"])
    assert any("no short channels" in line for line in prepared.history)


def _as_haemoglobin(pair, kinds=("hbo", "hbr")):
    raws = []
    for raw in (pair.therapist, pair.client):
        density = mne.preprocessing.nirs.optical_density(raw, verbose="error")
        raws.append(mne.preprocessing.nirs.beer_lambert_law(density, PPF).pick(list(kinds), verbose="error"))
    return pair_of(*raws, "fnirs")


def test_haemoglobin_input_skips_and_says_so():
    pair, _ = fnirs_pair(13, scalp_m=0.0, probe=Probe(n_short=0))
    config = dataclasses.replace(WITHOUT, fnirs_tddr=False)
    found = []
    for given in (pair, _as_haemoglobin(pair), _as_haemoglobin(pair, ("hbo",))):
        with pytest.warns(DataQualityWarning, match="no short channels"):
            found.append(preprocess_pair(given, config))
    light, blood, only = found
    np.testing.assert_allclose(hbo_of(blood.client), hbo_of(light.client), atol=1e-10)
    assert any(line.startswith("haemoglobin as recorded") for line in blood.history)
    assert np.isnan(blood.quality.client["sci"])
    assert set(only.therapist.get_channel_types()) == {"hbo"}
    assert any("HbO only" in line for line in only.history)


@pytest.mark.parametrize("level", ["intensity", "haemoglobin"])
def test_haemoglobins_of_a_channel_are_put_together_in_whatever_order_they_stand(level):
    pair, _ = fnirs_pair(13, scalp_m=0.0)
    pair = _as_haemoglobin(pair) if level == "haemoglobin" else pair
    expected = preprocess_pair(pair, WITHOUT)
    names = pair.client.ch_names
    # the second wavelength, or HbR, lists its channels the other way round
    turned = [*names[::2], *reversed(names[1::2])]
    found = preprocess_pair(pair.replace(client=pair.client.copy().reorder_channels(turned)), WITHOUT)
    (channels, rows), (others, theirs) = (_haemoglobin(each.client, None) for each in (expected, found))
    for kind in ("hbo", "hbr", "hbt"):
        for base in channels:
            np.testing.assert_allclose(
                theirs[kind][others.index(base)], rows[kind][channels.index(base)], atol=1e-10, err_msg=f"{base} {kind}"
            )


def test_a_channel_with_one_haemoglobin_of_two_is_left_out():
    pair = _as_haemoglobin(fnirs_pair(13, scalp_m=0.0)[0])
    lost = ["S1_D1 hbo", "S2_D2 hbr"]
    found = preprocess_pair(pair.replace(client=pair.client.copy().drop_channels(lost)), WITHOUT)
    bases = {name.partition(" ")[0] for name in lost}
    assert not bases & {name.partition(" ")[0] for name in found.client.ch_names}
    assert any("S2_D2 (lacks its other haemoglobin)" in line for line in found.history)
    _, rows = _haemoglobin(found.client, None)
    np.testing.assert_array_equal(rows["hbt"], rows["hbo"] + rows["hbr"])


def test_mixed_levels_are_refused():
    pair, _ = fnirs_pair(14)
    blood = _as_haemoglobin(pair)
    with pytest.raises(QualityError, match="therapist's file holds intensity, the client's haemoglobin"):
        preprocess_pair(pair.replace(client=blood.client))
    with pytest.raises(QualityError, match="found no fNIRS channel"):
        preprocess_pair(
            pair.replace(client=mne.io.RawArray(np.zeros((1, 2400)), mne.create_info(1, 8.0, "eeg"), verbose="error"))
        )


def test_pathlength_by_age():
    # adult heads: 5.9 at 807 nm, Duncan et al. 1996, https://doi.org/10.1203/00006450-199605000-00025
    assert differential_pathlength(807.0, 26.0) == pytest.approx(4.99 + 0.067 * 26**0.814, abs=0.1)
    pair, _ = fnirs_pair(17)
    by_age = dataclasses.replace(CONFIG, fnirs_ppf="age")
    with pytest.raises(QualityError, match=r"client's age in years .column client_age of dyads.tsv.*found None"):
        preprocess_pair(pair.replace(session=session_of("fnirs", covariates={"therapist_age": 50})), by_age)
    with pytest.raises(QualityError, match="found 1984"):
        preprocess_pair(
            pair.replace(session=session_of("fnirs", covariates={"therapist_age": 50, "client_age": 1984})), by_age
        )
    ages = {"therapist_age": 50.0, "client_age": 7}
    found = preprocess_pair(pair.replace(session=session_of("fnirs", covariates=ages)), by_age)
    plain = preprocess_pair(pair, CONFIG)
    for role in ("therapist", "client"):
        factors = differential_pathlength([760.0, 850.0], ages[f"{role}_age"])
        # density = extinction times concentration times path, so concentrations of one factor become those of two
        blood = [plain.raw(role).get_data(picks=[f"S1_D1 {kind}"])[0] for kind in ("hbo", "hbr")]
        density = EXTINCTION @ blood * PPF
        expected = np.linalg.solve(EXTINCTION * factors[:, None], density)
        np.testing.assert_allclose(
            found.raw(role).get_data(picks=["S1_D1 hbo"])[0], expected[0], atol=2e-3 * expected.std()
        )
    assert any("client: haemoglobin" in line and "by age" in line for line in found.history)
    with pytest.raises(ConfigError, match=r"expected a number from 0\.01 to 100, or 'age'"):
        StudyConfig(fnirs_ppf="ages")
    assert StudyConfig.from_mapping(by_age.to_dict()) == by_age


def test_two_rates_come_to_one_grid():
    rng = np.random.default_rng(15)
    probe = Probe()
    fine = 40.0
    n = round(300 * fine)
    hbo = 0.5e-6 * np.array([slow(n, fine, rng) for _ in range(4)])
    density = optical(hbo, 1e-7 * slow(n, fine, rng), probe, fine, rng)
    raws = [fnirs_raw(density[:, ::step], probe, fine / step) for step in (4, 5)]
    prepared = preprocess_pair(pair_of(*raws, "fnirs"))
    a, b = hbo_of(prepared.therapist), hbo_of(prepared.client)
    assert a.shape == b.shape == (4, 600)
    assert min(np.corrcoef(x[20:-20], y[20:-20])[0, 1] for x, y in zip(a, b, strict=True)) > 0.98


def test_what_was_decided_is_kept():
    pair, _ = fnirs_pair(0)
    pair.therapist.set_annotations(mne.Annotations([50.0, 150.0], [10.0, 10.0], ["turn", "turn"]))
    pair.client._data[3] = np.exp(0.01 * np.random.default_rng(0).standard_normal(pair.client.n_times))
    decided = preprocess_pair(pair, CONFIG).quality.decisions
    assert decided["therapist"] == FnirsDecisions(
        level="intensity",
        signals=("hbo", "hbr"),
        distances="in m",
        montage=("S1_D1", "S2_D2", "S3_D3", "S4_D4"),
        bad=(),
        coupling_judged=True,
        n_short=2,
        short_regressed=True,
        passband_hz=CONFIG.fnirs_filter_hz,
        events=("turn",),
        pathlength=(PPF,),
    )
    assert decided["client"] == dataclasses.replace(decided["therapist"], bad=("S2_D2",))
    blood = preprocess_pair(_as_haemoglobin(pair, ("hbo",)), WITHOUT).quality.decisions["client"]
    assert (blood.level, blood.signals, blood.pathlength) == ("haemoglobin", ("hbo",), ())
    assert not blood.coupling_judged
    assert not blood.short_regressed
    assert blood.n_short == 2
