"""fNIRS channels come in pairs of wavelengths, or of haemoglobins; what lacks its partner is left out."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import DataQualityWarning, QualityError, ReadError
from hyperscan.study.session import Session

#: Light that passes through tissue and tells oxy- from deoxyhaemoglobin, in nm (the range of commercial devices; ours).
LIGHT_NM = (650.0, 1000.0)
#: Closer wavelengths see almost the same mixture (our choice).
MIN_APART_NM = 20.0
#: Lasers and diodes of one nominal wavelength differ by this much from device to device (our choice).
SAME_LIGHT_NM = 5.0
#: Names may say the nominal wavelength, headers the measured one (our choice; Hitachi: 695 and 704 nm).
MAX_OFF_NM = 15.0


#: How haemoglobin is called behind a channel's name, as "S1_D1 HbO", "S1_D1_hbo".
_BLOOD = re.compile(r"[ _-]*(hbo|hbr)$", re.IGNORECASE)


def with_blood_names(raw: BaseRaw) -> BaseRaw:
    """Call haemoglobin channels as MNE does, ``S1_D1 hbo``: by these names they are found and put together."""
    types = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    blood = {each: f"{_BLOOD.sub('', each)} {kind}" for each, kind in types if kind in ("hbo", "hbr")}
    new = {old: name for old, name in blood.items() if old != name}
    return raw.copy().rename_channels(new, verbose="WARNING") if new and len(set(blood.values())) == len(blood) else raw


def whole_pairs(raw: BaseRaw, name: str) -> tuple[BaseRaw, tuple[str, ...]]:
    """Leave out channels whose other wavelength is missing."""
    raw = with_blood_names(raw)
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    light = [each for each, kind in types.items() if kind in ("fnirs_cw_amplitude", "fnirs_od")]
    _check_distances(raw, light or [each for each, kind in types.items() if kind in ("hbo", "hbr")], name)
    if not light or "fnirs_fd_phase" in types.values():
        blood = set(types.values()) & {"hbo", "hbr"}
        return raw, (f"{name}: holds {blood.pop()} only",) if len(blood) == 1 else ()
    _check_light(raw, light, name)
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


def check_told(raw: BaseRaw, who: str) -> None:
    """Refuse light of which no channel tells a wavelength: headers show it, so nobody needs to prepare for it."""
    rows = zip(raw.info["chs"], raw.get_channel_types(), strict=True)
    light = [channel["loc"][9] for channel, kind in rows if kind in ("fnirs_cw_amplitude", "fnirs_od")]
    if light and not np.isfinite(light).any():
        raise QualityError(
            f"{who}: the file names no wavelength of its {len(light)} channels (BOXY files hold none), so "
            "haemoglobin cannot be computed.\nExport it as SNIRF with the probe's wavelengths and positions."
        )


def wavelengths(raw: BaseRaw) -> tuple[int, ...]:
    """List the wavelengths of a recording in nm, ascending, to whole numbers; none for haemoglobin."""
    rows = zip(raw.info["chs"], raw.get_channel_types(), strict=True)
    values = {float(ch["loc"][9]) for ch, kind in rows if kind in ("fnirs_cw_amplitude", "fnirs_od")}
    return tuple(sorted({round(value) for value in values if np.isfinite(value)}))


def check_same_light(session: Session, people: Mapping[str, BaseRaw], listed: Mapping[str, tuple[float, ...]]) -> None:
    """Refuse two people whose light differs: the haemoglobin of one is wrong, or means another depth and mixture."""
    found = {role: wavelengths(raw) for role, raw in people.items()}
    a, b = found["therapist"], found["client"]
    same = _alike(a, b) and _alike(b, a)
    # one device writes one order: read the wrong way round, oxygenation and its opposite change places
    turned = same and all(listed.values()) and len({order == tuple(sorted(order)) for order in listed.values()}) > 1
    if same and not turned:
        return
    shown = {role: [f"{wave:g}" for wave in listed[role]] for role in found} if turned else found
    said = " and ".join(f"{', '.join(map(str, waves)) or 'unknown'} nm ({role})" for role, waves in shown.items())
    fault = "list their wavelengths in two orders" if turned else "were recorded with different wavelengths"
    names = dict.fromkeys(session.relative(path) for path in (session.therapist_file, session.client_file))
    raise ReadError(
        f"{' and '.join(names)}: the two people {fault}, {said}; one header may be wrong, and "
        "haemoglobin would be. Correct the wavelengths of the probe, or export both people alike."
    )


def _alike(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(any(abs(x - y) <= SAME_LIGHT_NM for y in b) for x in a)


def _check_light(raw: BaseRaw, light: list[str], name: str) -> None:
    """Refuse wavelengths that the Beer-Lambert law would turn into wrong haemoglobin."""
    found = wavelengths(raw)
    for each in light:
        said, value = each.rpartition(" ")[2], float(raw.info["chs"][raw.ch_names.index(each)]["loc"][9])
        if said.isdigit() and abs(float(said) - value) > MAX_OFF_NM:
            raise ReadError(
                f"{name}: the channel called {said} nm is said to hold {value:.0f} nm: they are swapped or wrong. "
                "Correct them, or export the recording anew."
            )
    low, high = LIGHT_NM
    if found and (found[0] < low or found[-1] > high or 0 < found[-1] - found[0] < MIN_APART_NM):
        raise ReadError(
            f"{name}: its wavelengths are {', '.join(map(str, found))} nm; two at least {MIN_APART_NM:g} nm apart "
            f"within {low:g}-{high:g} nm are needed. Correct the wavelengths of the probe, or export it anew."
        )


#: Median distances of source and detector, in m, that no probe has (our choice, wide): a unit of length is wrong.
PROBE_M = (0.005, 0.1)


def _check_distances(raw: BaseRaw, channels: list[str], name: str) -> None:
    """Refuse a probe whose lengths were taken in another unit than they are in."""
    rows = [raw.info["chs"][raw.ch_names.index(each)]["loc"] for each in channels]
    distance = np.array([np.linalg.norm(loc[3:6] - loc[6:9]) for loc in rows])
    median = float(np.median(distance[distance > 0])) if (distance > 0).any() else np.nan
    # haemoglobin files of some programs hold mm in the place of m, which is told and mended in preparation
    in_mm = median > 1 and not any(kind.startswith("fnirs") for kind in raw.get_channel_types(picks=channels))
    if not PROBE_M[0] <= median / (1000 if in_mm else 1) <= PROBE_M[1] and np.isfinite(median):
        shown = f"{median:.3g} m" if median >= 1 else f"{1000 * median:.3g} mm"
        raise ReadError(
            f"{name}: the median distance of source and detector is {shown}; about 30 mm is usual, "
            f"{1000 * PROBE_M[0]:g} to {1000 * PROBE_M[1]:g} are allowed. Correct the length unit of the probe (SNIRF: "
            "LengthUnit, Homer: SD.SpatialUnit), or its positions."
        )
