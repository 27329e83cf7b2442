"""Tables of numbers and the sidecar that declares them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io

import recording_fixtures as make
from hyperscan.recording.files.tables import read_numbers


@pytest.mark.parametrize("file", ["t.csv", "t.tsv", "t.mat"])
def test_plain_tables_with_a_sidecar(good: Path, file: str) -> None:
    data = 1e6 * make.noise(4)
    if file == "t.mat":
        scipy.io.savemat(good / file, {"eeg": data, "note": "x"})
    else:
        np.savetxt(good / file, data.T, delimiter={"t.csv": ",", "t.tsv": "\t"}[file], header="a,b,c,d", comments="")
        if file == "t.tsv":
            np.savetxt(good / file, data.T, delimiter="\t")
    sidecar = {"SamplingFrequency": 100, "ChannelNames": list(make.CHANNELS), "Unit": "uV"}
    (good / "t_sidecar.json").write_text(json.dumps(sidecar))
    pair = make.load(good, file, "c-raw.fif")
    np.testing.assert_allclose(pair.therapist.get_data(), make.noise(4), rtol=1e-12)


def test_haemoglobin_table(good: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("t", "d"):
        scipy.io.savemat(good / f"{name}.mat", {"oxyData": rng.standard_normal((500, 2))})
        sidecar = {"SamplingFrequency": 8.333, "ChannelNames": ["CH1 hbo", "CH2 hbo"], "Unit": "uM"}
        (good / f"{name}_sidecar.json").write_text(json.dumps(sidecar))
    pair = make.load(good, "t.mat", "d.mat", "fnirs")
    assert set(pair.client.get_channel_types()) == {"hbo"}
    assert any("hbo only" in note for note in pair.history)


def test_table_without_or_with_a_wrong_sidecar(good: Path) -> None:
    (good / "t.csv").write_text("1,2\n3,4\n5,6\n")
    make.refused(good, "t.csv", "c-raw.fif", "t_sidecar.json", "SamplingFrequency")
    for text in (
        '{"SamplingFrequency": 100, "SamplingFrequency": 200}',
        '{"SamplingFrequency": NaN}',
        "{",
        "[1]",
        '{"SamplingFrequency": -5}',
    ):
        (good / "t_sidecar.json").write_text(text)
        make.refused(good, "t.csv", "c-raw.fif", "sidecar")
    (good / "t_sidecar.json").write_text('{"SamplingFrequency": 100, "ChannelNames": ["Fz"], "Unit": "uV"}')
    make.refused(good, "t.csv", "c-raw.fif", "3 x 2", "1 channels")
    (good / "t.csv").write_text("1,2\n3,x\n5,6\n")
    make.refused(good, "t.csv", "c-raw.fif", "row 2")


def test_unreadable_object_matlab(good: Path) -> None:
    scipy.io.savemat(good / "t.mat", {"cells": np.array([[1, "a"]], dtype=object)})
    (good / "t_sidecar.json").write_text('{"SamplingFrequency": 100, "ChannelNames": ["Fz"], "Unit": "uV"}')
    make.refused(good, "t.mat", "c-raw.fif", "cannot tell which matrix")


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("uV", 1e-6), ("\u00b5V", 1e-6), ("\u03bcV", 1e-6), ("microvolts", 1e-6), ("mV", 1e-3), ("V", 1.0)],
)
def test_units_of_a_sidecar(tmp_path: Path, unit: str, factor: float) -> None:
    values = np.random.default_rng(0).standard_normal((50, 2))
    np.savetxt(tmp_path / "t.csv", values, delimiter=",")
    facts = {"SamplingFrequency": 10, "ChannelNames": ["Fz", "Cz"], "Unit": unit}
    (tmp_path / "t_sidecar.json").write_text(json.dumps(facts))
    np.testing.assert_allclose(read_numbers(tmp_path / "t.csv", "t.csv").data.get_data(), factor * values.T)


@pytest.mark.parametrize("form", ["S{k}_D{k} {blood}", "S{k}_D{k}{blood}", "S{k}_D{k}_{blood}"])
@pytest.mark.parametrize("blood", [("hbo", "hbr"), ("HbO", "HbR"), ("HBO", "HBR")])
def test_haemoglobin_has_its_names_however_it_is_spelled(good: Path, form: str, blood: tuple[str, str]) -> None:
    names = [form.format(k=k, blood=each) for k in (1, 2) for each in blood]
    for seed, name in enumerate(("t", "c")):
        np.savetxt(good / f"{name}.csv", make.noise(seed, 4, 400, 1.0).T, delimiter=",")
        sidecar = {"SamplingFrequency": 8, "ChannelNames": names, "Unit": "uM"}
        (good / f"{name}_sidecar.json").write_text(json.dumps(sidecar))
    pair = make.load(good, "t.csv", "c.csv", modality="fnirs")
    # by these names preparation and results find them
    assert pair.therapist.ch_names == ["S1_D1 hbo", "S1_D1 hbr", "S2_D2 hbo", "S2_D2 hbr"]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_line_of_names_in_another_order_than_the_sidecar_is_refused(good: Path, separator: str) -> None:
    names = list(make.CHANNELS)
    sidecar = {"SamplingFrequency": 100, "ChannelNames": names, "Unit": "uV"}
    (good / "t_sidecar.json").write_text(json.dumps(sidecar))
    for head in (names, [f'"{each}"' for each in names], ["first", "second", "third", "fourth"]):
        np.savetxt(good / "t.csv", 1e6 * make.noise(1).T, delimiter=separator, header=separator.join(head), comments="")
        assert make.load(good, "t.csv", "c-raw.fif").therapist.ch_names == names
    turned = separator.join([names[1], names[0], *names[2:]])
    np.savetxt(good / "t.csv", 1e6 * make.noise(1).T, delimiter=separator, header=turned, comments="")
    make.refused(good, "t.csv", "c-raw.fif", f"{names[1]!r} as column 1", "as channel 2", "ChannelNames")
