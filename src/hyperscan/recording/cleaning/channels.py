"""Which channels are scalp EEG, by standard names, and which belong to which region of interest."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import mne
import numpy as np
from mne.io import BaseRaw
from mne.io.constants import FIFF

from hyperscan.config import StudyConfig

#: Old 10-20 names and their 10-10 names (ACNS guideline 2, https://doi.org/10.1097/WNP.0000000000000316).
OLD_NAMES: Mapping[str, str] = MappingProxyType({"t3": "T7", "t4": "T8", "t5": "P7", "t6": "P8"})

#: Electrodes off the scalp that others are referenced to.
REFERENCES = frozenset({"a1", "a2", "m1", "m2", "le", "re"})

#: Linked ears or mastoids and the like, in one word.
_LINKED = frozenset(f"{a}1{a}2" for a in "am") | {f"{a}2{a}1" for a in "am"} | {"tp9tp10", "p9p10", "a12", "m12"}
_WORDS = ("aa", "ave", "ears", "mastoids", "linkedears", "linkedmastoids", "ref", "reference", "avg", "average", "car")
_REFERENCE_WORDS = REFERENCES | _LINKED | {*_WORDS, "linked", "cms", "drl", "gnd"}
_FILLER_WORDS = frozenset({"eeg", "ch", "channel", "chan", "electrode", "pol"})
#: Words that mark a channel as something other than scalp EEG, also with a side or an axis behind them.
_OTHER = re.compile(
    r"(?<![a-z])(ecg|ekg|[lr]?[hv]?eog|[hv]eo[gudlr]?|emg|loc|roc|io|status|stim|sti|trig(ger)?s?|marker|mark|event|"
    r"resp(iration)?|pulse|ppg|gsr|eda|sc[rl]|acc(el)?|gyro|mag|temp(erature)?|s[pa]o2|pleth?|photic|counter|battery|"
    r"aux|hr|annotations?|misc|time(stamp)?s?|ref(erence)?|gnd|ground|cms|drl|sync|audio|ttl|imp(edance)?|dc(?=\d)|"
    r"erg(o|(?=\d))|interpolated|c?cq|packet|dir)([lrud]|[xyz]|left|right|hardware|percent|index)?(?![a-z])",
    re.IGNORECASE,
)
#: What a channel was recorded against, behind its own name.
_AGAINST = re.compile(r"(?<=\w)[-_ ](ref(erence)?|avg|average)$", re.IGNORECASE)
#: BioSemi's inputs next to the cap: eyes, ears, neck.
_EXTERNAL = re.compile(r"exg ?\d", re.IGNORECASE)
#: Connector positions of amplifiers, BioSemi's A1 to H32.
_CONNECTOR = re.compile(r"[A-H]\d{1,2}")
_KIND = {"eog": "EOG", "ecg": "ECG", "emg": "EMG", "stim": "trigger or status channel"}


@dataclass(frozen=True)
class ElectrodeTable:
    """What the channels of one person are."""

    #: Scalp channels: name in the recording to standard name, in the order of the recording
    names: Mapping[str, str]
    #: All other channels, with the reason
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def aliases(self) -> dict[str, str]:
        """Scalp channels whose name changed."""
        return {old: new for old, new in self.names.items() if old != new}


@functools.cache
def standard_montage() -> str:
    """Look up what the installed MNE calls the template of all 10-05 positions."""
    current = "colin27_1005"
    return current if current in mne.channels.get_builtin_montages() else "standard_1005"


@functools.cache
def standard_names() -> Mapping[str, str]:
    """Map lower-case names to names of every position of the 10-05 system that MNE knows.

    References
    ----------
    Oostenveld & Praamstra 2001, https://doi.org/10.1016/S1388-2457(00)00527-7
    """
    names = mne.channels.make_standard_montage(standard_montage()).ch_names
    table = {name.lower(): name for name in names}
    return MappingProxyType({**table, **OLD_NAMES})


def common_reference(names: Iterable[str]) -> tuple[str, ...]:
    """Find what follows the electrode in most labels, in lower case; empty if labels differ in it.

    One second name common to all, but for a derivation or two, is the reference of a recording, and no bipolar chain.

    Examples
    --------
    >>> common_reference(["EEG Fp1-Cz", "EEG O1-Cz", "EEG T3-Cz"]), common_reference(["Fp1-F7", "F7-T7", "T7-P7"])
    (('cz',), ())
    """
    tails = []
    for name in names:
        first, *tail = [word for word in _words(name) if not word.isdigit()] or [""]
        if tail and first in standard_names() and first not in REFERENCES:
            tails.append(tuple(tail))
    usual, n = Counter(tails).most_common(1)[0] if tails else ((), 0)
    differ = n < max(_MIN_COMMON, _MOST * len(tails))
    return () if differ or _OTHER.search(" ".join(usual)) else usual


#: So many labels must share what is behind the electrode before it is their reference (our choice).
_MIN_COMMON = 3
#: ... and such a share of the labels that have anything there: a derivation or two may be beside them (our choice).
_MOST = 2 / 3


def clean_name(name: str, reference: tuple[str, ...] = ()) -> str | None:
    """Find the standard name of an electrode.

    Prefixes (``EEG ``, ``1_``), references (``-Ref``, ``-A1``, ``-A1A2`` or the given one), case and old names are
    understood.

    Examples
    --------
    >>> [clean_name(name) for name in ("EEG FP1-Ref", "1_Fz", "T3", "Fp1-F7", "EEG A2-A1")]
    ['Fp1', 'Fz', 'T7', None, None]
    """
    words = _words(name)
    if reference and tuple(word for word in words if not word.isdigit())[1:] == reference:
        words = [word for word in words if not word.isdigit()][:1]
    scalp = [standard_names()[word] for word in words if word in standard_names() and word not in REFERENCES]
    known = sum(word in _REFERENCE_WORDS or word.isdigit() for word in words) + len(scalp)
    return scalp[0] if len(scalp) == 1 and known == len(words) else None


def _words(name: str) -> list[str]:
    words = [word for word in re.split(r"[^A-Za-z0-9']+", name.strip().lower()) if word]
    return [word for word in words if word not in _FILLER_WORDS]


def sort_channels(raw: BaseRaw) -> ElectrodeTable:
    """Tell scalp EEG from everything else, by type, name and, for unknown names, by the values.

    Channel types of many files are guesses: an ECG typed as EEG is told by its name, a trigger channel of unknown name
    by having no more than 32 different values (our choice).
    """
    names: dict[str, str] = {}
    dropped: dict[str, str] = {}
    taken: dict[str, str] = {}
    positional = is_positional(raw.ch_names)
    reference = common_reference(raw.ch_names)
    named = positional or any(clean_name(name, reference) for name in raw.ch_names)
    for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True):
        reason, label = _judge(name, kind, positional=positional, reference=reference)
        if not reason and named and _EXTERNAL.fullmatch(name):
            reason = "external electrode beside the cap"
        if not reason and label == name and clean_name(name, reference) is None:
            values = raw.get_data(picks=[name], stop=min(raw.n_times, round(60 * raw.info["sfreq"])))[0]
            distinct = np.unique(values[np.isfinite(values)]).size
            if 1 < distinct <= 32 and values.size > 1000:
                reason = "few distinct values, as in a trigger channel"
        if not reason and label in taken:
            reason = f"same position as {taken[label]}"
        if reason:
            dropped[name] = reason
        else:
            names[name] = label
            taken[label] = name
    return ElectrodeTable(MappingProxyType(names), MappingProxyType(dropped))


def is_positional(names: Iterable[str]) -> bool:
    """Tell whether channels are called after the amplifier's connectors (A1 to H32) and not after the 10-20 system.

    Then C3 is a plug, not the electrode over the motor cortex, and A1 is no ear.

    Examples
    --------
    >>> is_positional([f"C{k}" for k in range(1, 33)]), is_positional(["C3", "C4", "F3", "F4", "F7", "F8", "A1"])
    (True, False)
    """
    plugs = {name for name in map(_plug, names) if name}
    # the 10-20 system has neither C7 nor B3; five of them are no accident
    return sum(plug.lower() not in standard_names() and plug.lower() not in REFERENCES for plug in plugs) > 4


def _plug(name: str) -> str:
    """Connector position in a name such as ``A1``, ``1-A1`` or ``A1-0``; empty if there is none."""
    parts = [part for part in re.split(r"[-_ ]", name) if part and not part.isdigit()]
    return parts[0] if len(parts) == 1 and _CONNECTOR.fullmatch(parts[0]) else ""


def _judge(name: str, kind: str, *, positional: bool, reference: tuple[str, ...]) -> tuple[str, str]:
    """Reason to drop a channel (empty = keep), and its standard name."""
    if kind not in ("eeg", "misc"):
        return _KIND.get(kind, f"{kind} channel"), name
    if positional and _plug(name):
        return ("not EEG by its type" if kind == "misc" else ""), name
    label = clean_name(name, reference)
    if label is not None:
        return "", label
    if kind == "misc":
        return "not EEG by its type", name
    words = _words(name)
    scalp = [word for word in words if word in standard_names()]
    if words and all(word in _REFERENCE_WORDS for word in words):
        return "reference electrode or its derivation", name
    if len(scalp) > 1:
        return "derivation between two electrodes", name
    if _OTHER.search(_AGAINST.sub("", name).replace("_", " ")):
        return "not EEG by its name", name
    return "", name


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
    """Find the regions present in a recording, with their channels.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        One person, n_channels of any number, prepared or not.
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
    if not is_fnirs(raw):
        return eeg_regions(raw.ch_names, config)
    names, user = base_names(raw), dict(config.rois) if config is not None else {}
    regions = {"all": names, **_fnirs_regions(raw), **_chosen(user, {name: name for name in names})}
    return {region: channels for region, channels in regions.items() if channels or region == "all"}


def eeg_regions(labels: Sequence[str], config: StudyConfig | None = None) -> dict[str, tuple[str, ...]]:
    """Find the regions that EEG channels of these names make up, as :func:`roi_channels` does.

    Examples
    --------
    >>> eeg_regions(["Fz", "EEG Pz-REF"])["posterior"]
    ('EEG Pz-REF',)
    """
    names, user = tuple(labels), dict(config.rois) if config is not None else {}
    reference = common_reference(names)
    known = {key: name for name in names for key in (name.lower(), (clean_name(name, reference) or name).lower())}
    regions = {"all": names, **_regions_by_name(names), **_chosen(user, known)}
    return {region: channels for region, channels in regions.items() if channels or region == "all"}


def known_rois(modality: str, config: StudyConfig) -> tuple[str, ...]:
    """Names that an ROI can have: a region of the configuration, or one that comes with the package.

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


def _regions_by_name(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if is_positional(names):
        return {}
    reference = common_reference(names)
    letters = {name: roi_base(clean_name(name, reference) or name) for name in names}
    regions = {region: tuple(name for name in names if letters[name] in rows) for region, rows in EEG_ROWS.items()}
    temporal = [name for name in names if letters[name] in _TEMPORAL]
    # odd numbers lie over the left hemisphere
    left = {name for name in temporal if re.search(r"[13579]h?$", clean_name(name, reference) or "")}
    regions["temporal_left"] = tuple(name for name in temporal if name in left)
    regions["temporal_right"] = tuple(name for name in temporal if name not in left)
    return regions


def _chosen(user: Mapping[str, Sequence[str]], known: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Find the channels of regions that the settings name, under any of their names."""
    regions = {}
    for region, names in user.items():
        found = [known.get(at) or known.get((clean_name(at) or at).lower()) or known.get(base_name(at)) for at in names]
        regions[region] = tuple(dict.fromkeys(name for name in found if name))
    return regions


def _fnirs_regions(raw: BaseRaw) -> dict[str, tuple[str, ...]]:
    """Regions by MNI distance; none where the recording has no positions, or not in head coordinates."""
    to_mni = mne.read_trans(_TEMPLATE_TRANS, verbose="error")
    midpoints = {
        base_name(ch["ch_name"]): np.asarray(ch["loc"][:3], float)
        for ch in raw.info["chs"]
        if ch["coord_frame"] == FIFF.FIFFV_COORD_HEAD
    }
    placed = {
        name: mne.transforms.apply_trans(to_mni, at) * 1000
        for name, at in midpoints.items()
        # beyond 15 cm of the middle of the head there is no scalp: such files hold another coordinate system
        if np.isfinite(at).all() and 0.03 < np.linalg.norm(at) < 0.15
    }
    return {
        region: tuple(
            name
            for name, at in placed.items()
            if min(np.linalg.norm(at - np.array(centre)) for centre in centres) <= FNIRS_RADIUS_MM
        )
        for region, centres in FNIRS_CENTRES_MM.items()
    }
