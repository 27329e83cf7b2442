"""Light that cannot be, or that differs between two people."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import recording_fixtures as make
from hyperscan.errors import DataQualityWarning, QualityError, ReadError
from hyperscan.recording import PairedRecording, load_heads
from prepare_fixtures import fnirs_pair


def rewrite(path: Path, place: str, value: object) -> None:
    with h5py.File(path, "a") as file:
        del file[place]
        file[place] = value


@pytest.mark.parametrize("waves", [(760.0, 770.0), (76.0, 85.0), (600.0, 850.0)])
def test_wavelengths_that_cannot_be(good: Path, waves: tuple[float, float]) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array(waves))
    make.refused(good, "t.snirf", "c.snirf", "t.snirf", "wavelengths", "650-1000 nm", modality="fnirs")


def test_swapped_wavelengths_are_refused(tmp_path: Path) -> None:
    raw = fnirs_pair(1, seconds=20.0)[0].therapist
    for ch in raw.info["chs"]:
        ch["loc"][9] = 1610.0 - ch["loc"][9]
    raw.save(tmp_path / "t-raw.fif", verbose="ERROR")
    fnirs_pair(2, seconds=20.0)[0].client.save(tmp_path / "c-raw.fif", verbose="ERROR")
    client = fnirs_pair(2, seconds=20.0)[0].client
    make.refused(tmp_path, "t-raw.fif", "c-raw.fif", "t-raw.fif", "swapped", "Correct", modality="fnirs")
    # in memory, too
    with pytest.raises(ReadError, match="therapist: the channel called 760 nm is said to hold 850 nm"):
        PairedRecording.from_raws(raw, client)


def test_a_lost_wavelength_is_told_in_memory_too() -> None:
    pair, _ = fnirs_pair(1, seconds=20.0)
    with pytest.warns(DataQualityWarning, match="client: 1 of 11 fNIRS channels lack"):
        found = PairedRecording.from_raws(pair.therapist, pair.client.copy().drop_channels(["S2_D2 850"]))
    assert "S2_D2 760" not in found.client.ch_names


@pytest.mark.parametrize("waves", [(785.0, 830.0), (690.0, 850.0)])
def test_people_of_different_light_are_refused(good: Path, waves: tuple[float, float]) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array(waves))
    shown = f"{waves[0]:.0f}, {waves[1]:.0f} nm (therapist) and 760, 850 nm (client)"
    make.refused(
        good, "t.snirf", "c.snirf", "t.snirf and c.snirf", "different wavelengths", shown, "Correct", modality="fnirs"
    )


def test_lasers_of_one_nominal_wavelength_are_one_light(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array([758.0, 853.0]))
    assert len(make.load(good, "t.snirf", "c.snirf", "fnirs").therapist.ch_names) == 6


def test_wavelengths_in_another_order_are_refused(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1)
    rewrite(good / "t.snirf", "nirs/probe/wavelengths", np.array([850.0, 760.0]))
    words = ("c.snirf", "two orders", "850, 760 nm (therapist) and 760, 850 nm (client)", "Correct")
    make.refused(good, "t.snirf", "c.snirf", *words, modality="fnirs")
    make.write_nirs(good / "h.nirs", 3)
    make.refused(good, "t.snirf", "h.nirs", "h.nirs", "two orders", modality="fnirs")


def test_one_wavelength_for_one_person_is_refused(good: Path) -> None:
    make.write_snirf(good / "t.snirf", 1, n_sources=1, only=1)
    make.refused(good, "t.snirf", "c.snirf", "t.snirf", "two wavelengths", "Export all wavelengths", modality="fnirs")


@pytest.mark.parametrize("blood", [False, True])
@pytest.mark.parametrize(("unit", "shown"), [("mm", "0.03 mm"), ("cm", "0.3 mm"), ("um", "3e-05 mm")])
def test_a_probe_in_too_small_a_unit_is_named(good: Path, unit: str, shown: str, blood: bool) -> None:
    make.write_snirf(good / "t.snirf", 1, unit=unit, blood=blood)
    make.refused(good, "t.snirf", "c.snirf", shown, "LengthUnit", "SD.SpatialUnit", modality="fnirs")


@pytest.mark.parametrize("blood", [False, True])
@pytest.mark.parametrize(("factor", "shown"), [(10.0, "300 mm"), (20.0, "600 mm"), (1e5, "3e+03 m")])
def test_a_probe_in_too_large_a_unit_is_named(good: Path, factor: float, shown: str, blood: bool) -> None:
    make.write_snirf(good / "t.snirf", 1, blood=blood)
    with h5py.File(good / "t.snirf", "a") as file:
        for end in ("source", "detector"):
            file[f"nirs/probe/{end}Pos3D"][...] *= factor
    make.refused(good, "t.snirf", "c.snirf", shown, "LengthUnit", modality="fnirs")


def test_light_without_a_wavelength_is_told_by_headers_alone(tmp_path: Path) -> None:
    for seed, name in enumerate(("t-raw.fif", "c-raw.fif")):
        raw = fnirs_pair(seed, seconds=20.0)[0].therapist
        for ch in raw.info["chs"]:
            ch["loc"][9] = np.nan
        raw.rename_channels({each: each.replace(" 760", " DC").replace(" 850", " AC") for each in raw.ch_names})
        raw.save(tmp_path / name, verbose="ERROR")
    with pytest.raises(QualityError, match="names no wavelength of its 12 channels"):
        load_heads(make.session(tmp_path, "t-raw.fif", "c-raw.fif", "fnirs"))
