"""Two people on one clock: the records that recordings travel in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from mne import BaseEpochs
from mne.io import BaseRaw
from numpy.typing import ArrayLike

from hyperscan.schema import QUALITY_FACTS, ROLES
from hyperscan.study.session import Session


@dataclass(frozen=True)
class Segment:
    """A stretch of the common time that windows may not leave.

    Parameters
    ----------
    onset_s, duration_s : float
        In s from the first sample of both recordings.
    task : str
        Label of the part of the session.
    """

    onset_s: float
    duration_s: float
    task: str = ""


@dataclass(frozen=True)
class SharedSignal:
    """A signal that both people were exposed to, or made: the sound of the room, motion, a mask of who speaks."""

    #: One channel per signal, in units of its own
    raw: BaseRaw
    #: Rate that it was given at, in Hz: above half of it there is nothing
    sfreq: float
    #: Whose recording its time is told by, and the time of its first sample there, in s
    role: str = "therapist"
    start_s: float = 0.0


@dataclass(frozen=True)
class Pause:
    """A place where a recording was interrupted."""

    #: First sample after the pause
    after: int
    #: How long it lasted
    seconds: float


@dataclass(frozen=True)
class EpochKeys:
    """What a file says of its epochs that stays when some of them are left out."""

    n_epochs: int
    #: shape (n_epochs,): Sample of the whole recording that each was cut at, NaN where not told; None if samples are
    #: counted within what is left
    samples: np.ndarray | None = None
    #: shape (n_epochs,): Number of each in the list of all epochs or events that there were, NaN where not told
    numbers: np.ndarray | None = None
    #: Length of that list, and whether the file tells what of it was left out
    n_original: int = 0
    logged: bool = False
    #: What the numbers are, for the history
    counted: str = ""
    #: Samples per s of the whole recording, in Hz
    rate: float = 0.0
    #: Whether the user said which epoch is which; then samples pair nothing
    stated: bool = False


@dataclass(frozen=True)
class PersonRecording:
    """One person's recording, as the file holds it."""

    data: BaseRaw | BaseEpochs
    #: shape (n_times,): Time of each sample in s on a clock that all streams of the file share; None if the file has
    #: none
    stamps: np.ndarray | None = None
    #: Names that the channels have in the file, to compare with the other person's
    channels: tuple[str, ...] = ()
    #: The same without what the channel rule tells people apart by
    labels: tuple[str, ...] = ()
    #: What was noticed, in words fit for a methods section
    notes: tuple[str, ...] = ()
    #: Wavelengths in nm, in the order in which the file's probe lists them; empty where it lists none
    light: tuple[float, ...] = ()
    #: Interruptions of known length that ``data`` does not hold yet
    pauses: tuple[Pause, ...] = ()
    #: Factors to SI by channel that ``data`` does not hold yet; NaN where the file's unit is not known
    factors: Mapping[str, float] = field(default_factory=dict)
    #: What tells epochs from each other where the reader knows better than MNE; None for continuous recordings
    epochs: EpochKeys | None = None


@dataclass(frozen=True)
class ClockReport:
    """How two recordings were put on one clock."""

    #: ``same_amplifier``, ``triggers``, ``timestamps``, ``offset`` or ``assumed``
    source: str
    #: Client's start on the therapist's clock, in s
    offset_s: float = 0.0
    #: Drift of the client's clock that was removed, in parts per million; NaN if it cannot be known
    ppm: float = 0.0
    #: Root mean square of what is left, in ms; NaN if it cannot be known
    residual_ms: float = 0.0
    #: Events or time stamps that the fit rests on
    n_matched: int = 0
    #: What was found on the way: missing triggers, jumps, resets
    notes: tuple[str, ...] = ()
    #: How far the offset itself may be off, in ms; NaN if the clock does not say
    uncertainty_ms: float = math.nan

    @property
    def told_ppm(self) -> str:
        """Drift in ppm as text; empty if it cannot be known."""
        return "" if math.isnan(self.ppm) else f"{round(self.ppm, 1) + 0.0:.1f}"  # + 0.0: no "-0.0"

    def known_to(self, otherwise_ms: float) -> float:
        """Say how far the offset may be off, in ms: by the clock itself, or else by a setting; NaN if only assumed."""
        if self.source in ("", "assumed", "same_amplifier"):
            return 0.0 if self.source == "same_amplifier" else math.nan
        told = [each for each in (self.uncertainty_ms, self.residual_ms) if not math.isnan(each)]
        return max([otherwise_ms, *told])

    def describe(self) -> str:
        """Say in one line of the history how the clocks were aligned."""
        text = f"recordings were put on the therapist's clock by {self.source.replace('_', ' ')} "
        text += f"(offset {self.offset_s:.3f} s"
        text += f", drift {self.told_ppm} ppm" if self.told_ppm else ""
        text += f", {self.n_matched} matched" if self.n_matched else ""
        return text + (")" if math.isnan(self.residual_ms) else f", residual {self.residual_ms:.2f} ms rms)")


@dataclass(frozen=True)
class BandQuality:
    """One person's rhythm in one band; each field is a column of ``quality.tsv`` that ends in the band's name."""

    #: Share of the power above the 1/f background, 0 to 1
    snr: float
    #: Frequency and width of the peak in Hz; NaN without one
    peak_hz: float
    peak_width: float
    #: Height of the peak over the background, in dB
    peak_db: float


@dataclass(frozen=True)
class PersonQuality(Mapping[str, float | str]):
    """What preparation found in one person: a row of ``quality.tsv``, also readable as a mapping of its columns.

    None = does not apply to the modality, and is no column of the row; NaN = could not be measured.
    """

    channels_kept: int
    channels_total: int
    clean_seconds: float
    n_windows: int
    #: How the clocks were aligned, alike in both people
    clock_source: str = ""
    clock_offset_s: float = float("nan")
    clock_ppm: float = float("nan")
    clock_residual_ms: float = float("nan")
    clock_uncertainty_ms: float = float("nan")
    #: ``good``, ``fair``, ``poor`` or ``reject``, and why
    grade: str = ""
    reason: str = ""
    #: Signal fraction of the primary region and band, over a straight and a curved background (EEG)
    s2_line: float | None = None
    s2_quad: float | None = None
    #: Share of the power at 30-40 Hz (EEG)
    highfreq: float | None = None
    #: Share of the power at 1-2 Hz (EEG), share of the seconds that hold motion (fNIRS)
    motion: float | None = None
    #: Share of the power in the primary band that follows the shared signal; NaN without one
    shared_r2: float = float("nan")
    #: Share of HbO in the analysis band that short channels explain (fNIRS)
    short_r2: float | None = None
    #: Size in the analysis band, in M (fNIRS)
    band_sd: float | None = None
    mayer_fraction: float | None = None
    #: Share of the seconds in which both people move (fNIRS)
    motion_overlap: float | None = None
    instrument_noise: float | None = None
    #: Scalp coupling index, mean over channels (fNIRS)
    sci: float | None = None
    #: Rhythms by the name of their band (EEG)
    bands: Mapping[str, BandQuality] = field(default_factory=dict)
    #: Size in V, mains over its surroundings in dB, share of the samples that were lost (EEG)
    amplitude: float | None = None
    line_noise_db: float | None = None
    lost: float | None = None
    #: Share of the samples at a rail or at rest
    saturation: float | None = None

    @classmethod
    def from_dict(cls, row: Mapping[str, float | str | None]) -> PersonQuality:
        """Read a row of ``quality.tsv`` or its JSON form, where None stands for NaN."""
        known = {f.name for f in dataclasses.fields(cls)} - {"bands"}
        values: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
        suffixes = {name: name.removeprefix("snr_") for name in values if name.startswith("snr_")}
        bands = {
            band: BandQuality(*(values[f"{f.name}_{band}"] for f in dataclasses.fields(BandQuality)))
            for band in suffixes.values()
        }
        return cls(**{name: value for name, value in values.items() if name in known}, bands=bands)

    def to_row(self) -> dict[str, float | str]:
        """List the values that apply to the modality by column of ``quality.tsv``."""
        row: dict[str, float | str] = {}
        for name in QUALITY_FACTS["eeg" if self.sci is None else "fnirs"]:
            if name == "bands":
                for band, rhythm in self.bands.items():
                    row |= {f"{each}_{band}": value for each, value in dataclasses.asdict(rhythm).items()}
            elif getattr(self, name) is not None:
                row[name] = getattr(self, name)
        return row

    def __getitem__(self, column: str) -> float | str:
        return self.to_row()[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_row())

    def __len__(self) -> int:
        return len(self.to_row())


@dataclass(frozen=True)
class EegDecisions:
    """What the data of one person's EEG decided where the settings leave it open, in one session."""

    #: Rate after resampling and edges of the passband in Hz; no upper edge where the recording ends below it
    sfreq: float
    passband_hz: tuple[float, float | None]
    #: False: every stretch is shorter than the filter, so neither filtered nor resampled
    filtered: bool
    #: Scalp channels as recorded, in the order of the recording, by standard name
    montage: tuple[str, ...]
    #: Channels are called after connectors, so that no positions are known
    positional: bool
    #: Channels of the montage left out as bad, and those of them that were interpolated
    bad: tuple[str, ...]
    interpolated: tuple[str, ...]
    #: ``average``, ``recorded``, or the channels of the new reference joined by ``+``, and channels that it is made of
    reference: str
    n_reference: int
    #: Independent channels that are left, before components are removed
    rank: int
    #: What told components apart, empty without ICA, and how many went by kind
    detector: str = ""
    components: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FnirsDecisions:
    """What the data of one person's fNIRS decided where the settings leave it open, in one session."""

    #: ``intensity``, ``optical density`` or ``haemoglobin``
    level: str
    #: Signals that could be computed: ``hbo``, ``hbr``
    signals: tuple[str, ...]
    #: ``in m``, ``in mm`` or ``assumed``: where source-detector distances come from
    distances: str
    #: Long channels as recorded, by base name, and what of all channels was left out
    montage: tuple[str, ...]
    bad: tuple[str, ...]
    #: Scalp coupling was judged: the sampling rate holds the heart beat
    coupling_judged: bool
    #: Good short channels, and whether they were regressed out
    n_short: int
    short_regressed: bool
    #: Edges of the passband in Hz; no upper edge where the recording ends below it
    passband_hz: tuple[float, float | None]
    #: Kinds of events whose responses were regressed out
    events: tuple[str, ...]
    #: Factors of the Beer-Lambert law, one or one per wavelength; empty for haemoglobin
    pathlength: tuple[float, ...]


def tell_decisions(decided: EegDecisions | FnirsDecisions) -> dict[str, str]:
    """Say every decision as text, by the names of :data:`hyperscan.schema.DECISIONS`; long lists as their length."""
    told = {}
    for name, value in vars(decided).items():
        if name == "passband_hz":
            low, high = value
            told[name] = f"from {low:g} Hz on" if high is None else f"{low:g}-{high:g} Hz"
        elif name in ("montage", "events"):
            told[name] = str(len(value))
        elif isinstance(value, bool):
            told[name] = "yes" if value else "no"
        elif isinstance(value, Mapping):
            told[name] = ", ".join(f"{n} {kind}" for kind, n in value.items()) or "none"
        elif isinstance(value, tuple):
            told[name] = ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value) or "none"
        else:
            told[name] = f"{value:g} Hz" if name == "sfreq" else str(value) or "none"
    return told


@dataclass(frozen=True)
class QualityReport:
    """What preparation found, one row of ``quality.tsv`` per person, and what it decided."""

    therapist: PersonQuality
    client: PersonQuality
    #: Role, then channel, to the reason why the channel went
    dropped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Role to what that person's data decided; the clock's decisions are in :class:`ClockReport`
    decisions: Mapping[str, EegDecisions | FnirsDecisions] = field(default_factory=dict)

    def of(self, role: str) -> PersonQuality:
        """Return the values of one person."""
        return self.therapist if role == "therapist" else self.client


@dataclass(frozen=True)
class TaskResponse:
    """What the events of a task evoke in one person and session."""

    task: str
    n_events: int
    #: Mean length of an event in s
    seconds: float
    #: Chromophore to the height in M that a long event would end at, one per channel
    height: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PairedRecording:
    """Therapist and client, as two raws that are never merged.

    Functions return new records; nothing changes in place.

    Parameters
    ----------
    therapist, client : mne.io.BaseRaw
        One person each. After :func:`hyperscan.align_pair` both start together, have one sampling rate and
        one length.
    session : Session
        The row they come from.
    segments : tuple of Segment
        Parts to analyse, on the common time axis.
    clock : ClockReport or None
        None until aligned.
    quality : QualityReport or None
        None until prepared.
    history : tuple of str
        Every step that changed data, in words fit for a methods section.
    stamps : tuple of two ndarray of shape (n_times,), or None
        Time of each sample of therapist and client in s on the shared clock of their file (XDF); None where the
        files have none, and after alignment.
    epoched : bool
        Joined epochs, already paired in time.
    epoch_times : tuple of two ndarray of shape (n_segments,), or None
        When each joined epoch was cut, in s from the start of therapist's and client's own recording on; None of
        continuous recordings, and where the files do not tell.
    samples : bool
        False where headers and events alone were read, and a flat line stands for the signals.
    responses : mapping of str to tuple
        Role to the responses to the tasks that the settings name (fNIRS, after preparation).
    shared : SharedSignal or None
        Signal that the row names in ``shared_file``; after alignment on the common time.
    unshared : mapping of str to ndarray, shape (n_channels, n_times)
        Role to the primary signal without what follows the shared one; empty until prepared, and without one.
    unregressed : mapping of str to ndarray, shape (n_channels, n_times)
        Role to haemoglobin before short channels were regressed out of it; empty where they were of neither.
    segments_of : str
        Role of the person by whose clock the segments are told until alignment puts them on the common time axis.

    Examples
    --------
    >>> import mne
    >>> from pathlib import Path
    >>> here = Path("study")
    >>> row = Session("D1", "T1", "C1", 1, "eeg", here / "t.edf", here / "c.edf", here)
    >>> raw = mne.io.RawArray(np.zeros((2, 500)), mne.create_info(["Pz", "Oz"], 100.0, "eeg"), verbose="error")
    >>> pair = PairedRecording(raw, raw.copy(), row)
    >>> pair.raw("client").ch_names
    ['Pz', 'Oz']
    """

    therapist: BaseRaw
    client: BaseRaw
    session: Session
    segments: tuple[Segment, ...] = ()
    clock: ClockReport | None = None
    quality: QualityReport | None = None
    history: tuple[str, ...] = ()
    stamps: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)
    epoched: bool = False
    epoch_times: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False, repr=False)
    samples: bool = True
    responses: Mapping[str, tuple[TaskResponse, ...]] = field(default_factory=dict, compare=False, repr=False)
    shared: SharedSignal | None = field(default=None, compare=False, repr=False)
    unshared: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    unregressed: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    segments_of: str = "therapist"

    #: Pairs what is in memory, as :mod:`hyperscan.recording.memory` sets it: a record knows no reader
    _in_memory: ClassVar[Callable[..., PairedRecording]]

    def __repr__(self) -> str:
        people = ", ".join(
            f"{role} {len(raw.ch_names)} channels {raw.info['sfreq']:g} Hz {raw.n_times / raw.info['sfreq']:.1f} s"
            for role, raw in (("therapist", self.therapist), ("client", self.client))
        )
        clock = f"clock {self.clock.source}" if self.clock else "not aligned"
        grades = "/".join(self.quality.of(role).grade for role in ROLES) if self.quality else ""
        quality = f"quality {grades}" if grades else "not prepared"
        return f"<PairedRecording | {self.session.key} | {people} | {clock} | {quality}>"

    @classmethod
    def from_raws(cls, therapist: BaseRaw, client: BaseRaw, /, **row: Any) -> PairedRecording:
        """Pair two continuous recordings that are in memory.

        Parameters
        ----------
        therapist, client : mne.io.BaseRaw
            One person each, shape (n_channels, n_times), in SI units as MNE has them; both are left as they are. Two
            people in one Raw: pick each one's channels and rename them to what they are on the head.
        **row
            Fields of :class:`hyperscan.Session`, as the columns of ``dyads.tsv``: ``dyad`` (``"D1"``), ``session``
            (1), ``therapist`` and ``client`` (``T`` and ``C`` before the dyad: name a therapist whom several dyads
            share), ``modality`` (told by the channels), ``clock`` (``"same_amplifier"``, ``"triggers"`` ...),
            ``days``, ``task``, ``covariates`` ...

        Returns
        -------
        PairedRecording
            As :func:`hyperscan.load_session` gives it from files: not aligned yet.

        Raises
        ------
        InputError
            If something else than two Raw is given, or they hold another modality.
        ReadError
            If both hold the same samples, or units differ.

        Examples
        --------
        >>> import mne
        >>> info, rng = mne.create_info(["Pz", "Oz"], 100.0, "eeg"), np.random.default_rng(0)
        >>> raws = [mne.io.RawArray(1e-5 * rng.normal(size=(2, 2000)), info, verbose="error") for _ in range(2)]
        >>> PairedRecording.from_raws(*raws, dyad="D07", session=2, clock="same_amplifier").session.key
        SessionKey(dyad='D07', session=2, modality='eeg', task='', run='')
        """
        return cls._in_memory(therapist, client, **row)

    @classmethod
    def from_epochs(
        cls,
        therapist: BaseEpochs,
        client: BaseEpochs,
        /,
        *,
        key: str | tuple[ArrayLike, ArrayLike] | None = None,
        **row: Any,
    ) -> PairedRecording:
        """Pair two people's epochs that are in memory, by a key that survives rejection.

        Parameters
        ----------
        therapist, client : mne.BaseEpochs
            One person each, shape (n_epochs, n_channels, n_times); the numbers of epochs may differ.
        key : str, or two array-likes of shape (n_epochs,), or None
            What tells which epochs belong together: a column of both people's ``metadata``, or a key per epoch of
            each. None: the event samples, or the numbers of the original epochs where a drop log tells what was
            left out. Order is no key, so ``EpochsArray`` without events needs one.
        **row
            Fields of :class:`hyperscan.Session`, as for :meth:`from_raws`.

        Returns
        -------
        PairedRecording
            The epochs that both people have, joined, one segment each; no window crosses from one to the next.

        Raises
        ------
        InputError
            If something else than two Epochs is given, or a key is missing or not unique.
        ReadError
            If nothing says which epochs belong together, or both were cut to other lengths.

        Examples
        --------
        >>> import mne
        >>> info, rng = mne.create_info(["Pz", "Oz"], 100.0, "eeg"), np.random.default_rng(0)
        >>> both = [mne.EpochsArray(1e-5 * rng.normal(size=(n, 2, 400)), info, verbose="error") for n in (5, 4)]
        >>> pair = PairedRecording.from_epochs(*both, key=([1, 2, 3, 4, 5], [1, 2, 4, 5]))
        >>> pair.history[-1].split(";")[0]
        '4 epochs common to both people paired by the keys that were given'
        """
        return cls._in_memory(therapist, client, key, **row)

    def raw(self, role: str) -> BaseRaw:
        """Return the raw of one person."""
        return self.therapist if role == "therapist" else self.client

    def replace(self, **changes: Any) -> PairedRecording:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)
