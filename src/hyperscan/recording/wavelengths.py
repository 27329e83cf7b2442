"""fNIRS channels come in pairs of wavelengths, or of haemoglobins; what lacks its partner is left out."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, ReadError


def whole_pairs(raw: BaseRaw, name: str) -> tuple[BaseRaw, tuple[str, ...]]:
    """Leave out channels whose other wavelength is missing.

    Parameters
    ----------
    raw : BaseRaw
        fNIRS recording.
    name : str
        File as messages show it.

    Returns
    -------
    raw : BaseRaw
        Every source-detector pair with the same wavelengths.
    notes : tuple of str

    Raises
    ------
    ReadError
        If no pair has both wavelengths, or a distance between optodes shows a wrong unit.

    Warns
    -----
    DataQualityWarning
        If channels were left out.
    """
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    light = [each for each, kind in types.items() if kind in ("fnirs_cw_amplitude", "fnirs_od")]
    if not light or "fnirs_fd_phase" in types.values():
        return raw, _blood(types, name)
    _check_distances(raw, light, name)
    waves: dict[str, list[str]] = {}
    for each in light:
        pair, _, wave = each.partition(" ")
        waves.setdefault(pair, []).append(wave)
    several = Counter(tuple(sorted(found)) for found in waves.values() if len(found) > 1)
    usual = several.most_common(1)[0][0] if several else ()
    if not usual:
        raise ReadError(
            f"{name}: no source-detector pair has two wavelengths, so haemoglobin cannot be computed. Export "
            "all wavelengths."
        )
    orphans = [each for each in light if tuple(sorted(waves[each.partition(" ")[0]])) != usual]
    if not orphans:
        return raw, ()
    lacking = f"{' and '.join(usual)} nm"
    note = f"{len(orphans)} of {len(light)} fNIRS channels lack the wavelengths {lacking} and were left out"
    warnings.warn(f"{name}: {note}. Export all wavelengths of every pair.", DataQualityWarning, stacklevel=2)
    return raw.copy().drop_channels(orphans), (f"{name}: {note}",)


def _blood(types: dict[str, str], name: str) -> tuple[str, ...]:
    kinds = set(types.values()) & {"hbo", "hbr"}
    return (f"{name}: holds {kinds.pop()} only",) if len(kinds) == 1 else ()


def _check_distances(raw: BaseRaw, light: list[str], name: str) -> None:
    """Refuse a probe whose lengths in mm or cm were taken for m: a median beyond 30 cm (our choice)."""
    rows = [raw.info["chs"][raw.ch_names.index(each)]["loc"] for each in light]
    distance = np.array([np.linalg.norm(loc[3:6] - loc[6:9]) for loc in rows])
    distance = distance[np.isfinite(distance)]
    if distance.size and np.median(distance) > 0.3:
        raise ReadError(
            f"{name}: the median distance of source and detector is {np.median(distance):.2g} m; about 0.03 "
            "m is usual. "
            "Correct the length unit of the probe (LengthUnit)."
        )
