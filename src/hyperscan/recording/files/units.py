"""Units as recordings write them: both signs for micro, any usual spelling, and what they are in SI."""

from __future__ import annotations

import functools
import re

import mne

#: How a refusal begins where a file is whole, but of a form that is not read.
NOT_SUPPORTED = "not supported: "

#: Micro has two signs (U+00B5 and U+03BC); UTF-8 that was read in another code page makes two letters of each.
_MICRO = ("\u00c2\u00b5", "\u00ce\u00bc", "\u00b5", "\u03bc", "\u039c")
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "k": 1e3}
_LONG = {"milli": "m", "micro": "u", "nano": "n", "pico": "p", "femto": "f", "kilo": "k"}
_BASES = {
    "V": ("v", "volt", "volts"),
    "M": ("m", "molar", "mol/l", "mol/dm^3", "mol/liter", "mol/litre"),
}
#: A cubic metre holds a thousand litres.
_PER_M3 = ("mol/m^3", "mol/m3")


def plain_unit(unit: str) -> str:
    """Write micro as ``u``, without blanks.

    Examples
    --------
    >>> plain_unit(" \u03bcV "), plain_unit("\u00b5V")
    ('uV', 'uV')
    """
    for sign in _MICRO:
        unit = unit.replace(sign, "u")
    return "".join(unit.split())


def factor_to_si(unit: str, base: str) -> float | None:
    """Find what a unit is in V or M (mol/l); 1 for an empty one, None for one that is not known.

    Examples
    --------
    >>> factor_to_si("\u03bcV", "V"), factor_to_si("microvolts", "V"), factor_to_si("mmol/L", "M")
    (1e-06, 1e-06, 0.001)
    >>> factor_to_si("C", "V") is None
    True
    """
    unit = plain_unit(unit)
    if not unit:
        return 1.0
    for long, short in _LONG.items():
        if unit.lower().startswith(long):
            unit = short + unit[len(long) :]
    # a capital M in front would be mega; no other prefix has two meanings
    unit = unit[0].lower() + unit[1:] if unit[0] in "UNPFK" and len(unit) > 1 else unit
    for prefix, factor in _PREFIXES.items():
        rest = unit.removeprefix(prefix).lower()
        if unit.startswith(prefix) and rest in _BASES[base] and not (prefix == "" and unit == "m"):
            return factor
        if base == "M" and unit.startswith(prefix) and rest in _PER_M3:
            return factor * 1e-3
    return None


@functools.cache
def _electrodes() -> frozenset[str]:
    current = [each for each in ("colin27_1005", "standard_1005") if each in mne.channels.get_builtin_montages()]
    return frozenset(name.lower() for name in mne.channels.make_standard_montage(current[0]).ch_names)


def is_electrode(label: str) -> bool:
    """Whether a channel is called after an electrode of the 10-20 system or its refinements.

    Examples
    --------
    >>> is_electrode("EEG Fp1-Ref"), is_electrode("SpO2")
    (True, False)
    """
    return any(word in _electrodes() for word in re.split("[^a-z0-9]+", label.lower()))
