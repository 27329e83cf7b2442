"""Regions of interest: which channels of a recording belong to which named region.

EEG regions follow from the letters of 10-20, 10-10 and 10-05 names, so that they fit any cap that uses
them. fNIRS regions follow from the distance of a channel's midpoint to a centre in MNI coordinates and are
approximate: most recordings carry template positions, not digitised ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.config import StudyConfig
from hyperscan.recording.electrodes import clean_name, is_positional

#: Letters of electrode names by region (our choice among the usual groupings). ``posterior`` holds the
#: parietal, parieto-occipital and occipital rows.
EEG_ROWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "frontal": ("Fp", "AF", "F", "AFp", "AFF", "FpA"),
        "central": ("FC", "C", "CP", "FCC", "CCP", "FFC", "CPP"),
        "parietal": ("P", "PPO"),
        "occipital": ("O", "I", "OI", "POO"),
        "posterior": ("P", "PPO", "PO", "POO", "O", "OI", "I"),
    }
)
_TEMPORAL = frozenset({"T", "FT", "TP", "FTT", "TTP", "FFT", "TPP"})

#: Centres in MNI space, in mm (our choice: rounded centres of the usual labels, see docs), and the distance
#: within which a channel's midpoint counts. A channel sees cortex some 15-20 mm below the scalp, and template
#: positions are off by about 10 mm, hence the generous radius (our choice).
FNIRS_CENTRES_MM: Mapping[str, tuple[tuple[float, float, float], ...]] = MappingProxyType(
    {
        "PFC": ((0.0, 68.0, 12.0), (-30.0, 62.0, 10.0), (30.0, 62.0, 10.0)),
        "rTPJ": ((62.0, -52.0, 28.0),),
        "lTPJ": ((-62.0, -52.0, 28.0),),
        "IFG": ((-58.0, 26.0, 12.0), (58.0, 26.0, 12.0)),
    }
)
FNIRS_RADIUS_MM = 30.0
#: From MNE's head coordinates to those of the template brain, which are MNI's.
_TEMPLATE_TRANS = Path(mne.__file__).parent / "data" / "fsaverage" / "fsaverage-trans.fif"


def roi_channels(raw: BaseRaw, config: StudyConfig | None = None) -> dict[str, tuple[str, ...]]:
    """Regions present in a recording, with their channels.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        One person, prepared or not.
    config : StudyConfig or None
        Its ``rois`` add to the built-in regions or replace them.

    Returns
    -------
    dict of str to tuple of str
        ``all`` first, then the regions that hold at least one channel. EEG: channel names as in `raw`.
        fNIRS: channel base names such as ``S1_D1``, without the chromophore.

    Examples
    --------
    >>> import mne, numpy as np
    >>> info = mne.create_info(["Fz", "Pz", "O1", "O2"], 100.0, "eeg")
    >>> raw = mne.io.RawArray(np.zeros((4, 10)), info, verbose="error")
    >>> roi_channels(raw)["posterior"]
    ('Pz', 'O1', 'O2')
    """
    user = dict(config.rois) if config is not None else {}
    if is_fnirs(raw):
        names = base_names(raw)
        regions = {"all": names, **_fnirs_regions(raw), **_chosen(user, {name: name for name in names})}
    else:
        names = tuple(raw.ch_names)
        regions = {"all": names, **_eeg_regions(names), **_chosen(user, _lookup(names))}
    return {region: channels for region, channels in regions.items() if channels or region == "all"}


def known_rois(modality: str, config: StudyConfig) -> tuple[str, ...]:
    """Names that an ROI can have: a region of the configuration, or one that comes with the package.

    Parameters
    ----------
    modality : {'eeg', 'fnirs'}
        Kind of recording.
    config : StudyConfig
        For its ``rois``.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> known_rois("fnirs", StudyConfig())
    ('all', 'PFC', 'rTPJ', 'lTPJ', 'IFG')
    """
    own = FNIRS_CENTRES_MM if modality == "fnirs" else (*EEG_ROWS, "temporal_left", "temporal_right")
    return tuple(dict.fromkeys(["all", *own, *config.rois]))


def is_fnirs(raw: BaseRaw) -> bool:
    """Whether a recording holds fNIRS channels."""
    return bool({"hbo", "hbr", "fnirs_cw_amplitude", "fnirs_od"} & set(raw.get_channel_types(unique=True)))


def base_name(name: str) -> str:
    """``S1_D1 hbo`` -> ``S1_D1``."""
    return name.rsplit(" ", 1)[0]


def base_names(raw: BaseRaw) -> tuple[str, ...]:
    """Channel names without wavelength or chromophore, each once, in the order of the recording."""
    return tuple(dict.fromkeys(base_name(name) for name in raw.ch_names))


def roi_base(name: str) -> str:
    """Take the letters of an electrode name: ``PO7`` -> ``PO``; empty if it is not a standard one."""
    label = clean_name(name)
    match = re.fullmatch(r"([A-Za-z]+?)(z|\d+h?)?", label or "")
    return match.group(1) if match else ""


def _eeg_regions(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if is_positional(names):
        return {}
    letters = {name: roi_base(name) for name in names}
    regions = {region: tuple(name for name in names if letters[name] in rows) for region, rows in EEG_ROWS.items()}
    temporal = [name for name in names if letters[name] in _TEMPORAL]
    regions["temporal_left"] = tuple(name for name in temporal if _is_left(name))
    regions["temporal_right"] = tuple(name for name in temporal if not _is_left(name))
    return regions


def _is_left(name: str) -> bool:
    digits = re.sub(r"\D", "", clean_name(name) or "")
    return bool(digits) and int(digits) % 2 == 1


def _lookup(names: Sequence[str]) -> dict[str, str]:
    return {key: name for name in names for key in (name.lower(), (clean_name(name) or name).lower())}


def _chosen(user: Mapping[str, Sequence[str]], known: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    def found(name: str) -> str | None:
        return known.get(name) or known.get((clean_name(name) or name).lower()) or known.get(base_name(name))

    return {
        region: tuple(dict.fromkeys(hit for name in names if (hit := found(name)))) for region, names in user.items()
    }


def _fnirs_regions(raw: BaseRaw) -> dict[str, tuple[str, ...]]:
    """Regions by MNI distance; none where the recording has no positions."""
    to_mni = mne.read_trans(_TEMPLATE_TRANS, verbose="error")
    midpoints = {base_name(ch["ch_name"]): np.asarray(ch["loc"][:3], float) for ch in raw.info["chs"]}
    placed = {
        name: mne.transforms.apply_trans(to_mni, at) * 1000
        for name, at in midpoints.items()
        # beyond 15 cm of the middle of the head there is no scalp: such files hold another coordinate system
        if np.isfinite(at).all() and 0.03 < np.linalg.norm(at) < 0.15
    }
    return {
        region: tuple(name for name, at in placed.items() if _within(at, centres))
        for region, centres in FNIRS_CENTRES_MM.items()
    }


def _within(at: np.ndarray, centres: Sequence[tuple[float, float, float]]) -> bool:
    return bool(min(np.linalg.norm(at - np.array(centre)) for centre in centres) <= FNIRS_RADIUS_MM)
