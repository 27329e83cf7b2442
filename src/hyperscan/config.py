"""The settings of a study: one frozen record, and its TOML form.

Nothing else in the package knows TOML. Options that change results live here; options that only change
how a run is carried out (workers, folders, verbosity) are arguments of the run.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hyperscan.errors import ConfigError, did_you_mean
from hyperscan.schema import MEASURED, MODALITIES, RELATIONS, ROLES, RoiPair

#: Band edges in Hz. EEG: the usual edges (our choice among them); ``slow`` holds periods of 10-50 s, between
#: respiration and drift (our choice). A band belongs to the modality whose passband holds it.
BANDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "theta": (4.0, 8.0),
        "alpha": (8.0, 12.0),
        "beta": (13.0, 30.0),
        "gamma": (30.0, 40.0),
        "slow": (0.02, 0.10),
    }
)

#: Largest lag that is looked at, in s: conduction and reaction in EEG, the response of haemoglobin and turns of talk in
#: fNIRS (our choice).
MAX_LAG_S: Mapping[str, float] = MappingProxyType({"eeg": 1.0, "fnirs": 20.0})

#: What is computed when nothing else is asked for, by modality (our choice).
METRICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"eeg": ("plv", "ciplv", "imcoh", "accorr"), "fnirs": ("wtc", "corr")}
)

#: Metrics of coupling inside one person, by modality (our choice).
WITHIN_METRICS: Mapping[str, tuple[str, ...]] = MappingProxyType({"eeg": ("lagcoh",), "fnirs": ("wtc",)})

#: Kinds of components that ICA can be asked to remove from EEG.
ICA_CHOICES = ("none", "ocular", "muscle", "ocular+muscle")

#: Value of ``fnirs_ppf``: one factor per person and wavelength, by age.
BY_AGE = "age"

_LABEL = re.compile(r"[A-Za-z0-9_]+")
_PAIR = re.compile(r"[A-Za-z0-9_]+-[A-Za-z0-9_]+")

#: Lowest frequencies that can be asked for, in Hz (our choice): of a passband, a cycle in nearly three hours, below
#: which filters cannot be designed; of the mains (railways have 16.7 Hz), notches still leave something between them.
MIN_EDGE_HZ, MIN_LINE_HZ = 1e-4, 10.0


@dataclass(frozen=True)
class Primary:
    """The one outcome named before the data are seen."""

    #: Names of a metric and of a band
    metric: str
    band: str
    #: ROI pair, therapist first: ``"posterior-posterior"``
    roi: str
    #: Task label; empty when the study has one task only
    task: str = ""

    @property
    def rois(self) -> RoiPair:
        """ROI names of therapist and client."""
        return RoiPair.parse(self.roi)


@dataclass(frozen=True)
class FurtherOutcome:
    """A column (symptoms, alliance) that is related to synchrony, as a study names it."""

    name: str
    #: ``before`` or ``after`` the session's recording; empty where that is not told
    measured: str = ""
    #: Relations that are asked for, of :data:`hyperscan.schema.RELATIONS`
    relations: tuple[str, ...] = RELATIONS

    @classmethod
    def parse(cls, value: Any) -> FurtherOutcome:
        """Read a name, or a table with a name and what is known of it."""
        if isinstance(value, cls):
            return value
        content = {"name": value} if isinstance(value, str) else value
        known = [f.name for f in dataclasses.fields(cls)]
        if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
            raise ConfigError(f"outcomes: {value!r}: expected a name, or {{name = ..., measured = 'after'}}.")
        for key in content:
            if key not in known:
                raise ConfigError(f"outcomes: unknown key {key!r}; allowed: {', '.join(known)}.")
        measured, relations = content.get("measured", ""), _names("relations", content.get("relations", RELATIONS))
        if measured not in ("", *MEASURED):
            raise ConfigError(
                f"outcomes: {content['name']!r} has measured = {measured!r}; expected 'before' or 'after' (the "
                "session's recording), or nothing."
            )
        for relation in relations:
            if relation not in RELATIONS:
                raise ConfigError(
                    f"outcomes: {content['name']!r} has an unknown relation {relation!r}; allowed: "
                    f"{', '.join(RELATIONS)}.{did_you_mean(relation, RELATIONS)}"
                )
        return cls(content["name"], str(measured), tuple(name for name in RELATIONS if name in relations) or RELATIONS)

    @classmethod
    def parse_all(cls, values: Any) -> tuple[FurtherOutcome, ...]:
        """Read a list of them, each column once."""
        if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
            raise ConfigError(f"outcomes = {values!r}: expected a list of columns, such as ['bdi'].")
        found = tuple(map(cls.parse, values))
        twice = [one.name for i, one in enumerate(found) if one.name in {other.name for other in found[:i]}]
        if twice:
            raise ConfigError(f"outcomes: {twice[0]!r} stands there twice.")
        return found

    def plain(self) -> str | dict[str, str | list[str]]:
        """Give back what :meth:`parse` reads: the name alone where nothing else was said."""
        told: dict[str, str | list[str]] = {"measured": self.measured} if self.measured else {}
        if self.relations != RELATIONS:
            told["relations"] = list(self.relations)
        return {"name": self.name, **told} if told else self.name


#: Alpha phase locking over the posterior scalp, and HbO wavelet coherence over all pairs (our choice).
PRIMARY: Mapping[str, Primary] = MappingProxyType(
    {
        "eeg": Primary("plv", "alpha", "posterior-posterior"),
        "fnirs": Primary("wtc", "slow", "all-all"),
    }
)


#: First stages of a study that settings enter: recordings become clean signals, which are judged and cut into windows.
#: All others enter what is computed from these.
CLEANING, PREPARATION, COMPUTATION = range(3)


def _setting(default: Any, doc: str, *, bounds: tuple[float, float] | None = None, enters: int = COMPUTATION) -> Any:
    """Declare a setting: its default, its line in the documentation, the bounds of a number, and where it enters first.

    Bounds are our choice, and wide enough for any real study.
    """
    metadata = {"doc": doc, "bounds": bounds, "enters": enters}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class StudyConfig:
    """Every choice that changes a result. Defaults are those of the documentation.

    Parameters are the keys of ``study.toml``; ``hyperscan config --defaults`` prints them with comments.

    Raises
    ------
    ConfigError
        If a value is of the wrong type or outside what is allowed.

    Examples
    --------
    >>> StudyConfig(window_s=10.0).bands["alpha"]
    (8.0, 12.0)
    """

    primary: Primary | None = _setting(
        None,
        "the outcome named in advance: {metric, band, roi, task}; "
        "absent = plv/alpha/posterior-posterior (EEG), wtc/slow/all-all (fNIRS)",
        enters=PREPARATION,
    )
    metrics: Mapping[str, tuple[str, ...]] = _setting(METRICS, "a list for every modality, or one list per modality")
    bands: Mapping[str, tuple[float, float]] = _setting(
        BANDS, "edges in Hz; a band is used for the modality whose passband holds it", enters=PREPARATION
    )
    bands_therapist: Mapping[str, tuple[float, float]] = _setting(
        MappingProxyType({}),
        "edges in Hz of EEG bands that are others in the therapist: name = [low, high]",
        enters=PREPARATION,
    )
    bands_client: Mapping[str, tuple[float, float]] = _setting(
        MappingProxyType({}),
        "the same in the client: a slower rhythm, or the 1:2 of nmplv (alpha = [4, 6])",
        enters=PREPARATION,
    )
    max_lag_s: Mapping[str, float] = _setting(
        MAX_LAG_S,
        "largest lag of lag profiles, xcorr, xcorr_lag and what follows a shared signal in s, by modality (our choice)",
        bounds=(0.01, 600),
        enters=PREPARATION,
    )
    rois: Mapping[str, tuple[str, ...]] = _setting(
        MappingProxyType({}), "further ROIs: name = [channels]; a built-in name is replaced", enters=PREPARATION
    )
    roi_pairs: str | tuple[str, ...] = _setting(
        "matching", "'matching' (same ROI in both people), 'all', or a list such as ['frontal-posterior']"
    )
    # each person alone
    within: str = _setting(
        "",
        "the index of each person that is named in advance, INDEX/BAND/REGION such as 'power/alpha/frontal'; "
        "empty = band and client's region of the primary outcome: power (EEG), wtc (fNIRS)",
    )
    within_equivalence_slope: float = _setting(
        0.0,
        "smallest slope of interest for 'no change' of that index, in its scale per unit of time (powers: dB); 0 = not "
        "named",
        bounds=(0, 1000),
    )
    within_metrics: Mapping[str, tuple[str, ...]] = _setting(
        WITHIN_METRICS,
        "coupling inside each person, a list per modality; EEG: blind to lag 0 (ours: lagcoh and imcoh are quick)",
    )
    networks: Mapping[str, tuple[str, ...]] = _setting(
        MappingProxyType({}), "labels of yours for regions whose coupling is averaged: name = [regions]"
    )
    fnirs_tasks: tuple[str, ...] = _setting(
        (),
        "names of annotations whose response is estimated in each person's haemoglobin, such as ['talk']; [] = none",
        enters=CLEANING,
    )
    # windows and floors
    window_s: float = _setting(
        20.0,
        "EEG window length in s, non-overlapping; short windows inflate chance (our choice)",
        bounds=(0.1, 3600),
        enters=PREPARATION,
    )
    min_windows: int = _setting(
        3, "an EEG session with fewer clean windows is skipped (our choice)", bounds=(1, 10_000), enters=PREPARATION
    )
    min_seconds: float = _setting(
        120.0,
        "an fNIRS session with less common time (s) is skipped (our choice)",
        bounds=(1, 86_400),
        enters=PREPARATION,
    )
    # EEG preparation
    eeg_filter_hz: tuple[float, float] = _setting(
        (1.0, 40.0),
        "EEG passband in Hz, flat to both edges (ours: the guards fit spectra from 2 to 40 Hz)",
        enters=CLEANING,
    )
    eeg_line_hz: float = _setting(
        0.0,
        "mains frequency to notch in Hz; 0 = none (ours: the passband ends below it)",
        bounds=(0, 1000),
        enters=CLEANING,
    )
    eeg_reference: str = _setting(
        "auto",
        "'auto' = average from 16 channels on (ours), else as recorded; 'average', 'recorded', or names joined by +",
        enters=CLEANING,
    )
    eeg_max_sfreq: float = _setting(
        256.0,
        "EEG above this rate (Hz) is resampled to it, anti-aliased; 0 = keep (our choice)",
        bounds=(0, 100_000),
        enters=CLEANING,
    )
    eeg_interpolate: bool = _setting(
        False,
        "bad EEG channels are interpolated where positions are known (Perrin et al. 1989, "
        "doi:10.1016/0013-4694(89)90180-6), instead of left out (our choice)",
        enters=CLEANING,
    )
    eeg_ica: str = _setting(
        "none", "components removed by ICA: 'none' (our choice), 'ocular', 'muscle' or 'ocular+muscle'", enters=CLEANING
    )
    # fNIRS preparation
    fnirs_filter_hz: tuple[float, float] = _setting(
        (0.01, 0.5),
        "fNIRS passband in Hz (our choice: it holds the slow band and leaves the heart beat out)",
        enters=CLEANING,
    )
    fnirs_sfreq: float = _setting(
        2.0, "common grid of the two fNIRS recordings in Hz (our choice)", bounds=(0.1, 100), enters=CLEANING
    )
    fnirs_min_sci: float = _setting(
        0.75,
        "channels with a lower scalp coupling are left out (Pollonini et al. 2014, doi:10.1016/j.heares.2013.11.007)",
        bounds=(0, 1),
        enters=CLEANING,
    )
    fnirs_tddr: bool = _setting(
        True,
        "motion correction by TDDR on optical density (Fishburn et al. 2019, doi:10.1016/j.neuroimage.2018.09.025)",
        enters=CLEANING,
    )
    fnirs_short_mm: float = _setting(
        10.0,
        "channels with a source-detector distance up to this (mm) are short (MNE's limit); up to 1.5 times it, unused",
        bounds=(1, 20),
        enters=CLEANING,
    )
    fnirs_short_regression: bool = _setting(
        True,
        "regress each person's own short channels out (Saager & Berger 2005, doi:10.1364/JOSAA.22.001874)",
        enters=CLEANING,
    )
    fnirs_regress_events: bool = _setting(
        True,
        "regress annotated events out before synchrony (ours: shared events look like growth in our simulations)",
        enters=CLEANING,
    )
    fnirs_ppf: float | str = _setting(
        6.0,
        "pathlength factor of the Beer-Lambert law (MNE's default), or 'age': by the columns therapist_age, client_age "
        "of dyads.tsv (Scholkmann & Wolf 2013, doi:10.1117/1.JBO.18.10.105004)",
        bounds=(0.01, 100),
        enters=CLEANING,
    )
    # clocks
    clock_uncertainty_ms: float = _setting(
        16.0,
        "how far the offset of two devices may be off where the clock does not say (ms): latency of triggers, delays "
        "of filters; growth at a lag counts beyond it only (our choice: two samples at 125 Hz)",
        bounds=(0, 10_000),
        enters=PREPARATION,
    )
    # chance
    max_partners: int = _setting(
        20, "at most so many other dyads are re-paired with a dyad's session", bounds=(1, 1000)
    )
    min_pseudo: int = _setting(4, "fewer pseudo pairs than this are flagged as a weak chance level", bounds=(1, 1000))
    n_null: int = _setting(1000, "circular shifts of the lag null", bounds=(19, 1_000_000))
    seed: int = _setting(0, "seed of every random draw", bounds=(0, 2**32 - 1), enters=CLEANING)
    # growth
    time: str = _setting("session", "time axis of growth: 'session' or 'weeks' (days / 7)")
    equivalence_slope: float = _setting(
        0.0,
        "smallest slope of interest for 'no change' (per unit of time, on the metric's growth scale: Fisher z, or the "
        "metric as it is, such as ppc); 0 = not named",
        bounds=(0, 10),
    )
    outcomes: tuple[FurtherOutcome, ...] = _setting(
        (),
        "columns of dyads.tsv (symptoms, alliance) to relate to synchrony, corrected for all that is asked: names, or "
        "{name = 'wai', measured = 'after', relations = ['next_session']}; measured 'before' or 'after' the session",
    )
    # comparisons
    group: str = _setting("", "column of dyads.tsv by which dyads are compared (an arm), one value per dyad; '' = none")
    reference: str = _setting("", "group that the others are compared with")
    moderators: tuple[str, ...] = _setting(
        (), "columns of numbers, one value per dyad, with which growth may go; corrected for how many are named"
    )
    pseudo_within_group: bool = _setting(
        True, "with a group, people are re-paired inside their own group only (our choice: groups may differ in chance)"
    )
    contrasts: Mapping[str, Mapping[str, float]] = _setting(
        MappingProxyType({}),
        "differences of tasks within dyad and session: name = {talk = 1, rest = -1}; weights above 0 sum to 1, those "
        "below to -1, and tasks of one contrast use equally much data",
    )
    multiverse: Mapping[str, tuple[Any, ...]] = _setting(
        MappingProxyType({}),
        "levels of other settings for `hyperscan multiverse`, the primary's own among them: window_s = [10, 20]; "
        "metrics, bands and rois (pairs) list names for the primary outcome",
    )

    def __post_init__(self) -> None:
        bands = {name: _edges(f"bands.{name}", edges) for name, edges in _items("bands", self.bands)}
        rois = {name: _names(f"rois.{name}", channels, filled=True) for name, channels in _items("rois", self.rois)}
        networks = {
            name: _names(f"networks.{name}", regions, filled=True)
            for name, regions in _items("networks", self.networks)
        }
        values = {
            "primary": _primary(self.primary),
            "metrics": _metrics("metrics", self.metrics, METRICS),
            "within_metrics": _metrics("within_metrics", self.within_metrics, WITHIN_METRICS),
            "networks": MappingProxyType(networks),
            "bands": MappingProxyType(bands),
            **{key: _own_edges(key, getattr(self, key)) for key in ("bands_therapist", "bands_client")},
            "max_lag_s": _by_modality("max_lag_s", self.max_lag_s, MAX_LAG_S),
            "rois": MappingProxyType(rois),
            "roi_pairs": self.roi_pairs if isinstance(self.roi_pairs, str) else _pairs(self.roi_pairs),
            "eeg_filter_hz": _edges("eeg_filter_hz", self.eeg_filter_hz),
            "fnirs_filter_hz": _edges("fnirs_filter_hz", self.fnirs_filter_hz),
            "outcomes": FurtherOutcome.parse_all(self.outcomes),
            "moderators": _names("moderators", self.moderators),
            "fnirs_tasks": _tasks(self.fnirs_tasks),
            "contrasts": check_contrasts(self.contrasts),
            "multiverse": _multiverse(self.multiverse),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _check(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str = "configuration") -> StudyConfig:
        """Build from plain values, naming the source in every complaint.

        Examples
        --------
        >>> StudyConfig.from_mapping({"window": 5})
        Traceback (most recent call last):
        hyperscan.errors.ConfigError: configuration: unknown key 'window'. Did you mean 'window_s'?
        """
        known = [f.name for f in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(f"{source}: unknown key {key!r}.{did_you_mean(key, known)}")
        try:
            return cls(**values)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    @classmethod
    def from_toml(cls, path: str | Path) -> StudyConfig:
        """Read ``study.toml``."""
        path = Path(path)
        check_settings_file(path)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise ConfigError(f"{path.name}: cannot be read ({error.strerror}). Name an existing TOML file.") from None
        except (ValueError, RecursionError) as error:  # of syntax, of UTF-8, of numbers without end
            raise ConfigError(f"{path.name}: not valid TOML ({error}). Correct that place.") from None
        if not _fits(values):
            raise ConfigError(f"{path.name}: not valid TOML (a whole number beyond 64 bits). Correct that place.")
        return cls.from_mapping(values, source=path.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON or TOML."""
        values = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {key: value for key, value in values.items() if value is not None}

    def to_toml(self, *, comments: bool = False) -> str:
        """TOML text that :meth:`from_toml` reads back to an equal record."""
        docs = {f.name: f.metadata["doc"] for f in dataclasses.fields(self)}
        values = self.to_dict()
        plain = [key for key, value in values.items() if not isinstance(value, dict)]
        tables = [key for key, value in values.items() if isinstance(value, dict)]
        lines: list[str] = []
        if comments and self.primary is None:
            lines += [
                f"# {docs['primary']}",
                '# primary = {metric = "plv", band = "alpha", roi = "posterior-posterior"}',
                "",
            ]
        for key in plain:
            lines += ([f"# {docs[key]}"] if comments else []) + [f"{key} = {_toml(values[key])}"]
        for key in tables:
            lines += ["", *([f"# {docs[key]}"] if comments else []), f"[{key}]"]
            lines += [f"{_toml_key(name)} = {_toml(value)}" for name, value in values[key].items()]
        return "\n".join(lines) + "\n"

    @property
    def pools(self) -> tuple[frozenset[str], ...]:
        """Tasks that contrasts join, directly or by others: what is decided for one of them is decided for all."""
        pools: list[frozenset[str]] = []
        for contrast in self.contrasts.values():
            touched = [pool for pool in pools if pool & set(contrast)]
            joined = frozenset(contrast).union(*touched)
            pools = [*(pool for pool in pools if pool not in touched), joined]
        return tuple(pools)

    def entering(self, stage: int) -> StudyConfig:
        """Keep what enters a stage or one before it; all else is as if nothing had been set.

        A stage that is given nothing else can be shared by all settings that are equal so far.
        """
        if stage == COMPUTATION:
            return self
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["enters"] <= stage}
        if stage < PREPARATION:
            return StudyConfig(**kept, bands={})
        # which metric is asked for, and of which task, says the computation
        primary = self.primary and Primary("", self.primary.band, self.primary.roi)
        return StudyConfig(**{**kept, "primary": primary})

    def passband(self, modality: str) -> tuple[float, float]:
        """Edges in Hz of what preparation leaves of a modality."""
        return self.eeg_filter_hz if modality == "eeg" else self.fnirs_filter_hz

    def bands_of(self, modality: str, role: str = "") -> dict[str, tuple[float, float]]:
        """Bands inside the passband of a modality, in Hz; with a role, as they are in that person."""
        low, high = self.passband(modality)
        inside = {name: edges for name, edges in self.bands.items() if low <= edges[0] and edges[1] <= high}
        return inside | {name: edges for name, edges in self.own_bands(role).items() if name in inside}

    def own_bands(self, role: str) -> Mapping[str, tuple[float, float]]:
        """Edges in Hz of the bands that are others in one person."""
        return {"therapist": self.bands_therapist, "client": self.bands_client}.get(role, {})

    def primary_of(self, modality: str) -> Primary:
        """Return the primary outcome of a modality: the one named, else the default."""
        if self.primary is not None and self.primary.band in self.bands_of(modality):
            return self.primary
        return PRIMARY[modality]


def check_settings_file(path: Path) -> None:
    """Refuse what is no file: reading it would fail, or never end."""
    if path.is_file() or not os.path.lexists(path):
        return
    if path.is_dir():
        raise ConfigError(
            f"{path.name}: is a folder; settings are read from a TOML file. Move it away, or name a file."
        )
    if not path.exists():
        raise ConfigError(
            f"{path.name}: is a link to a file that is not there. Fetch it (datalad get, git annex get), or remove "
            "the link to use the defaults."
        )
    raise ConfigError(f"{path.name}: is no file (a pipe, a socket or a device). Name a TOML file.")


def _fits(value: Any) -> bool:
    """Whether all whole numbers are those of TOML, of 64 bits: no message could hold longer ones."""
    if isinstance(value, dict | list):
        return all(map(_fits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _plain(value: Any) -> Any:
    if isinstance(value, Primary):
        return dataclasses.asdict(value)
    if isinstance(value, FurtherOutcome):
        return value.plain()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    # JSON's strings, numbers and booleans are TOML's too
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_key(name: str) -> str:
    """Quote a key where TOML asks for it, at whatever depth: a task may have any name, or none."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _primary(value: Any) -> Primary | None:
    if value is None:
        return None
    if isinstance(value, Primary):  # the tables of a run name both regions
        return dataclasses.replace(value, roi=str(value.rois))
    if not isinstance(value, Mapping):
        raise ConfigError(f"primary = {value!r}: expected a table with metric, band, roi and, where needed, task.")
    known = [f.name for f in dataclasses.fields(Primary)]
    for key, item in value.items():
        if key not in known:
            raise ConfigError(
                f"primary has an unknown key {key!r}; allowed: {', '.join(known)}.{did_you_mean(key, known)}"
            )
        if not isinstance(item, str):
            raise ConfigError(f"primary.{key} = {item!r}: expected text.")
    missing = [key for key in known[:3] if key not in value]
    if missing:
        raise ConfigError(f"primary lacks {', '.join(missing)}; it needs metric, band and roi.")
    return Primary(**{**value, "roi": str(RoiPair.parse(value["roi"]))})


def _names(key: str, value: Any, *, filled: bool = False) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{key} = {value!r}: expected a list of names.")
    if len(set(value)) < len(value):
        raise ConfigError(f"{key} = {list(value)!r}: a name stands there twice.")
    if filled and not value:
        raise ConfigError(f"{key} = []: names nothing. Name at least one, or leave it out.")
    return tuple(value)


def _tasks(value: Any) -> tuple[str, ...]:
    names = _names("fnirs_tasks", value)
    for name in names:
        if not name.strip() or "/" in name:
            raise ConfigError(f"fnirs_tasks: {name!r} is no name. Write what stands behind the / of the annotation.")
    return names


def _pairs(value: Any) -> tuple[str, ...]:
    names = _names("roi_pairs", value, filled=True)
    for name in names:
        if not _PAIR.fullmatch(name):
            raise ConfigError(
                f"roi_pairs: {name!r} is no pair. Write the therapist's region and the client's, such as "
                "'frontal-frontal'."
            )
    return names


def _metrics(key: str, value: Any, default: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        value = dict.fromkeys(MODALITIES, _names(key, value))
    for kind in value:
        if kind not in MODALITIES:
            raise ConfigError(f"{key}: unknown modality {kind!r}; allowed: eeg, fnirs.{did_you_mean(kind, MODALITIES)}")
    chosen = {kind: _names(f"{key}.{kind}", value[kind]) if kind in value else default[kind] for kind in MODALITIES}
    if not all(chosen.values()):
        raise ConfigError(f"{key} is empty: name at least one metric per modality.")
    return chosen


#: Settings that leave the primary outcome as it is, so that they are no choice of a multiverse.
_BESIDE_PRIMARY = (
    *("roi_pairs", "within", "within_equivalence_slope", "within_metrics", "networks", "fnirs_tasks"),
    *("outcomes", "moderators", "contrasts"),
)


def _multiverse(value: Any) -> Mapping[str, tuple[Any, ...]]:
    known = [field.name for field in dataclasses.fields(StudyConfig) if field.name not in ("primary", "multiverse")]
    found = {}
    for key, levels in _items("multiverse", value):
        if key not in known:
            raise ConfigError(f"multiverse.{key}: is no setting.{did_you_mean(key, known)}")
        if key in _BESIDE_PRIMARY:
            raise ConfigError(
                f"multiverse.{key}: leaves the primary outcome as it is, so all levels would say the same."
            )
        if isinstance(levels, str) or not isinstance(levels, Sequence) or len(levels) < 2:
            raise ConfigError(f"multiverse.{key} = {levels!r}: expected a list of two or more levels.")
        found[key] = tuple(tuple(level) if isinstance(level, list) else level for level in levels)
        if any(level in found[key][:number] for number, level in enumerate(found[key])):  # 20 and 20.0 are one
            raise ConfigError(f"multiverse.{key} = {levels!r}: a level stands there twice.")
    return MappingProxyType(found)


def _own_edges(key: str, value: Any) -> Mapping[str, tuple[float, float]]:
    return MappingProxyType({name: _edges(f"{key}.{name}", edges) for name, edges in _items(key, value)})


def _by_modality(key: str, value: Any, default: Mapping[str, float]) -> Mapping[str, float]:
    """Fill in the modalities that a table of numbers leaves out."""
    for name, _ in _items(key, value):
        if name not in MODALITIES:
            raise ConfigError(f"{key}: unknown modality {name!r}; allowed: eeg, fnirs.{did_you_mean(name, MODALITIES)}")
    return MappingProxyType({**default, **value})


def check_contrasts(contrasts: Any) -> Mapping[str, Mapping[str, float]]:
    """Read differences of tasks; what is no difference of means raises a ConfigError."""
    found = {}
    for name, contrast in _items("contrasts", contrasts):
        where = f"contrasts.{name}"
        if not isinstance(contrast, Mapping) or not all(map(_is_number, contrast.values())):
            raise ConfigError(
                f"{where} = {contrast!r}: expected a weight for every task, such as {{talk = 1, rest = -1}}."
            )
        above, below = (sum(share for share in contrast.values() if share * sign > 0) for sign in (1, -1))
        if not (math.isclose(above, 1) and math.isclose(below, -1)) or 0 in contrast.values():
            raise ConfigError(
                f"{where}: weights above 0 sum to {above:g}, those below to {below:g}; expected 1 and -1, and no 0: a"
                " difference of means."
            )
        if name in contrast:
            raise ConfigError(f"{where}: has the name of a task. Give it another, such as {name}_minus_rest.")
        found[name] = MappingProxyType({str(task): float(share) for task, share in contrast.items()})
    return MappingProxyType(found)


def _items(key: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and _LABEL.fullmatch(name) for name in value):
        raise ConfigError(f"{key} = {value!r}: expected a table whose names are letters, digits and _.")
    return list(value.items())


def _edges(key: str, value: Any) -> tuple[float, float]:
    numbers = isinstance(value, Sequence) and not isinstance(value, str) and all(_is_number(item) for item in value)
    if not numbers or len(value) != 2 or not MIN_EDGE_HZ <= value[0] < value[1]:
        raise ConfigError(f"{key} = {value!r}: expected [low, high] in Hz with {MIN_EDGE_HZ:g} <= low < high.")
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:
    # NaN and infinities fail the comparison
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 1e12


def _check(config: StudyConfig) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == "fnirs_ppf" and isinstance(value, str) and value != BY_AGE:
            raise ConfigError(f"fnirs_ppf = {value!r}: expected a number from 0.01 to 100, or 'age'.")
        bounds = field.metadata["bounds"]
        if bounds and field.default is dataclasses.MISSING and isinstance(value, Mapping):
            for name, number in value.items():
                if not _is_number(number) or not bounds[0] <= number <= bounds[1]:
                    raise ConfigError(
                        f"{field.name}.{name} = {number!r}: expected a number from {bounds[0]:g} to {bounds[1]:g}."
                    )
        elif bounds and (field.name != "fnirs_ppf" or value != BY_AGE):
            low, high = bounds
            whole = isinstance(field.default, int)
            if not _is_number(value) or (whole and not isinstance(value, int)) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"{field.name} = {value!r}: expected {kind} from {low:g} to {high:g}.")
        elif isinstance(field.default, bool) and not isinstance(value, bool):
            raise ConfigError(f"{field.name} = {value!r}: expected true or false.")
        elif field.name in ("eeg_reference", "eeg_ica", "time", "within", "group", "reference") and not isinstance(
            value, str
        ):
            raise ConfigError(f"{field.name} = {value!r}: expected text.")
    if config.eeg_ica not in ICA_CHOICES:
        raise ConfigError(
            f"eeg_ica = {config.eeg_ica!r}: expected {', '.join(map(repr, ICA_CHOICES))}."
            f"{did_you_mean(config.eeg_ica, ICA_CHOICES)}"
        )
    if config.time not in ("session", "weeks"):
        raise ConfigError(f"time = {config.time!r}: expected 'session' or 'weeks'.")
    if bool(config.group) != bool(config.reference):
        raise ConfigError(
            f"group = {config.group!r}, reference = {config.reference!r}: name both, the column and the group that the "
            "others are compared with."
        )
    if isinstance(config.roi_pairs, str) and config.roi_pairs not in ("matching", "all"):
        raise ConfigError(f"roi_pairs = {config.roi_pairs!r}: expected 'matching', 'all' or a list of pairs.")
    if 0 < config.eeg_line_hz < MIN_LINE_HZ:
        raise ConfigError(f"eeg_line_hz = {config.eeg_line_hz!r}: expected 0 (none), or {MIN_LINE_HZ:g} to 1000.")
    for name, regions in config.networks.items():
        if len(regions) < 2:
            raise ConfigError(
                f"networks.{name} = {list(regions)}: one region has nothing to couple with. Name two or more."
            )
        if name in config.rois:
            raise ConfigError(f"networks.{name}: a region of rois has this name. Give the network another one.")
    _check_bands(config)


def _check_bands(config: StudyConfig) -> None:
    used = {name for modality in MODALITIES for name in config.bands_of(modality)}
    for name in config.bands:
        if name not in used:
            raise ConfigError(
                f"bands.{name} = {list(config.bands[name])} Hz lies in neither passband: "
                f"EEG {list(config.eeg_filter_hz)}, fNIRS {list(config.fnirs_filter_hz)} Hz. "
                "Move its edges or widen eeg_filter_hz / fnirs_filter_hz."
            )
    eeg, (low, high) = config.bands_of("eeg"), config.eeg_filter_hz
    for role in ROLES:
        for name, edges in config.own_bands(role).items():
            if name not in eeg:
                raise ConfigError(
                    f"bands_{role}.{name} is not among the bands of EEG: {', '.join(eeg) or 'none'}. Its edges in both "
                    f"people belong into bands first.{did_you_mean(name, eeg)}"
                )
            if not low <= edges[0] < edges[1] <= high:
                raise ConfigError(
                    f"bands_{role}.{name} = {list(edges)} Hz lies outside eeg_filter_hz = {[low, high]}. "
                    "Move its edges or widen eeg_filter_hz."
                )
    if config.primary is not None and config.primary.band not in config.bands:
        raise ConfigError(
            f"primary.band = {config.primary.band!r} is not among the bands: {', '.join(config.bands)}."
            f"{did_you_mean(config.primary.band, config.bands)}"
        )
