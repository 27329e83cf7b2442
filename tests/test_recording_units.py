"""Units: both signs for micro, long and short spellings, and no guess."""

from __future__ import annotations

import pytest

from hyperscan.recording.files.units import factor_to_si, plain_unit

MICRO = ("u", "\u00b5", "\u03bc", "\u00c2\u00b5", "micro", "Micro")


@pytest.mark.parametrize("micro", MICRO)
@pytest.mark.parametrize(
    ("base", "words"), [("V", ("V", "v", "Volt", "volts")), ("M", ("M", "molar", "mol/L", "mol/l"))]
)
def test_every_sign_for_micro_is_one(micro: str, base: str, words: tuple[str, ...]) -> None:
    for word in words:
        assert factor_to_si(f" {micro}{word}", base) == 1e-6, word


@pytest.mark.parametrize(
    ("unit", "base", "factor"),
    [
        ("", "V", 1.0),
        ("V", "V", 1.0),
        ("mV", "V", 1e-3),
        ("millivolts", "V", 1e-3),
        ("nV", "V", 1e-9),
        ("UV", "V", 1e-6),
        ("MV", "V", None),
        ("C", "V", None),
        ("n/a", "V", None),
        ("M", "M", 1.0),
        ("mM", "M", 1e-3),
        ("m", "M", None),
        ("mmol/m^3", "M", 1e-6),
        ("M*mm", "M", None),
    ],
)
def test_units_in_si(unit: str, base: str, factor: float | None) -> None:
    assert factor_to_si(unit, base) == factor


def test_blanks_do_not_count() -> None:
    assert plain_unit(" \u03bc V\t") == "uV"
