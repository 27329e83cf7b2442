"""fNIRS of a therapist and a client with a known shared part, from haemoglobin to light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from hyperscan.errors import InputError
from hyperscan.simulate.signals import Truth, band_noise, coupled_pair, power_law_noise, rarely

Array = npt.NDArray[np.float64]

WAVELENGTHS_NM = (760.0, 850.0)

#: Molar extinction (HbO, HbR) in 1/(M mm) at the two wavelengths, as MNE's table has it.
EXTINCTION = np.array([[134.96, 356.62], [243.66, 159.21]])

#: Partial pathlength factor, as the default of preparation.
PPF = 6.0

#: Source-detector distances in mm of long and short channels.
LONG_MM, SHORT_MM = 30.0, 8.0

#: Micromolar amplitudes (standard deviations) of what a channel sees (our choice).
NEURAL_UM, SYSTEMIC_UM, CARDIAC_UM, NOISE_OD = 0.35, 0.5, 0.35, 1e-4

#: Spread of a movement's spike in optical density (our choice).
MOTION_OD = 0.3


@dataclass(frozen=True)
class FnirsTruth(Truth):
    """What one simulated fNIRS session holds."""

    #: Shared part of the two slow neural signals' power, 0 to 1
    coupled_fraction: float = 0.0
    #: How much later the client is, in s
    lag_s: float = 2.0
    #: Amplitude of each person's own superficial waves, 1 = as usual
    systemic_gain: float = 1.0
    #: Fraction of the superficial waves' power that both people share
    common_systemic: float = 0.0
    #: Amplitude of the instrument's noise, 1 = as usual
    noise_gain: float = rarely(1.0)
    #: Movements per minute that both people make together: spikes in light of all channels
    motion_per_min: float = rarely(0.0)
    #: Amplitude, relative to the neural signal, of a response of both people to the timing of a task
    task_gain: float = rarely(0.0)
    #: Seed of that response: sessions of one seed share it, whoever takes part
    task_seed: int = rarely(0)


@dataclass(frozen=True)
class Optodes:
    """A small probe: each long channel has its own pair, each short channel sits at a source."""

    #: Channels of each kind; a channel has both wavelengths
    n_long: int = 4
    n_short: int = 2

    def __post_init__(self) -> None:
        if self.n_long < 1 or not 0 <= self.n_short <= self.n_long:
            raise InputError(
                f"n_long = {self.n_long!r}, n_short = {self.n_short!r}: expected one long channel or more, and no more "
                "short ones, each of which sits at the source of a long one."
            )

    @property
    def sources(self) -> Array:
        """Positions in mm, shape (n_long, 3)."""
        return np.stack([40.0 * np.arange(self.n_long), np.zeros(self.n_long), np.zeros(self.n_long)], axis=1)

    @property
    def detectors(self) -> Array:
        """Positions in mm, shape (n_long + n_short, 3): the long ones first."""
        long = self.sources + np.array([0.0, LONG_MM, 0.0])
        short = self.sources[: self.n_short] + np.array([SHORT_MM, 0.0, 0.0])
        return np.concatenate([long, short])

    @property
    def channels(self) -> list[tuple[int, int, float]]:
        """Source index, detector index (from 0) and distance in mm of every channel."""
        long = [(i, i, LONG_MM) for i in range(self.n_long)]
        return long + [(i, self.n_long + i, SHORT_MM) for i in range(self.n_short)]


def simulate_fnirs(
    truth: FnirsTruth, optodes: Optodes, sfreq: float, duration_s: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Make one session of two people's light intensities.

    Shapes: ``therapist, client`` (n_channels * 2, n_times).

    Examples
    --------
    >>> t, c = simulate_fnirs(FnirsTruth(0.5), Optodes(), 4.0, 60.0, np.random.default_rng(0))
    >>> t.shape, bool((t > 0).all())
    ((12, 240), True)
    """
    n_times = round(duration_s * sfreq)
    neural = coupled_pair(n_times, sfreq, (0.02, 0.10), truth.coupled_fraction, rng, lag_s=truth.lag_s)
    common = _systemic(n_times, sfreq, rng)
    response = _response(truth, n_times, sfreq)
    people = []
    for own_neural in neural:
        own = _systemic(n_times, sfreq, rng)
        systemic = np.sqrt(truth.common_systemic) * common + np.sqrt(1 - truth.common_systemic) * own
        people.append(
            _intensity(
                own_neural + response, truth.systemic_gain * systemic, optodes, sfreq, rng, noise=truth.noise_gain
            ),
        )
    if truth.motion_per_min:
        _move(people, truth.motion_per_min, sfreq, rng)
    return people[0], people[1]


def _response(truth: FnirsTruth, n_times: int, sfreq: float) -> Array:
    """Make what a task of fixed timing evokes in anyone who does it."""
    if not truth.task_gain:
        return np.zeros(n_times)
    return truth.task_gain * band_noise((n_times,), sfreq, (0.02, 0.10), np.random.default_rng(truth.task_seed))


def _move(people: list[Array], per_min: float, sfreq: float, rng: np.random.Generator) -> None:
    """Add spikes of half a second to both people's light at the same times."""
    n_times = people[0].shape[-1]
    width = max(round(0.5 * sfreq), 1)
    for start in rng.integers(0, n_times - width, rng.poisson(per_min * n_times / sfreq / 60)):
        for person in people:
            person[:, start : start + width] *= np.exp(rng.normal(0, MOTION_OD, (len(person), 1)))


def write_snirf(path: Path, intensity: Array, optodes: Optodes, sfreq: float, *, subject: str = "anonymous") -> None:
    """Write intensities as a SNIRF 1.1 file.

    Shapes: ``intensity`` (n_channels * 2, n_times).
    """
    with h5py.File(path, "w") as file:
        file["formatVersion"] = "1.1"
        group = file.create_group("nirs")
        tags = {
            "SubjectID": subject,
            "MeasurementDate": "2000-01-01",
            "MeasurementTime": "00:00:00Z",
            "LengthUnit": "mm",
            "TimeUnit": "s",
            "FrequencyUnit": "Hz",
        }
        for name, value in tags.items():
            group[f"metaDataTags/{name}"] = value
        data = group.create_group("data1")
        data.create_dataset(
            "dataTimeSeries",
            data=intensity.T.astype("f4"),
            compression="gzip",
            shuffle=True,
            track_times=False,
        )
        data["time"] = np.arange(intensity.shape[1]) / sfreq
        _write_channels(data, optodes)
        probe = group.create_group("probe")
        probe["wavelengths"] = np.array(WAVELENGTHS_NM)
        probe["sourcePos3D"] = optodes.sources
        probe["detectorPos3D"] = optodes.detectors
        probe["sourceLabels"] = [f"S{i + 1}" for i in range(len(optodes.sources))]
        probe["detectorLabels"] = [f"D{i + 1}" for i in range(len(optodes.detectors))]


def _write_channels(data: h5py.Group, optodes: Optodes) -> None:
    pairs = [(source, detector, w) for source, detector, _ in optodes.channels for w in (1, 2)]
    for number, (source, detector, wavelength) in enumerate(pairs, start=1):
        entry = data.create_group(f"measurementList{number}")
        entry["sourceIndex"] = np.int32(source + 1)
        entry["detectorIndex"] = np.int32(detector + 1)
        entry["wavelengthIndex"] = np.int32(wavelength)
        entry["dataType"] = np.int32(1)
        entry["dataTypeIndex"] = np.int32(1)


def _systemic(n_times: int, sfreq: float, rng: np.random.Generator) -> Array:
    mayer = band_noise((n_times,), sfreq, (0.08, 0.12), rng)
    respiration = band_noise((n_times,), sfreq, (0.2, 0.3), rng)
    drift = power_law_noise((n_times,), sfreq, 1.5, rng, low_hz=0.01)
    return (mayer + 0.5 * respiration + drift) / np.sqrt(2.25)


def _intensity(
    neural: Array, systemic: Array, optodes: Optodes, sfreq: float, rng: np.random.Generator, *, noise: float
) -> Array:
    n_times = len(neural)
    beat = band_noise((n_times,), sfreq, (1.0, 1.3), rng) if sfreq > 2.6 else np.zeros(n_times)
    rows = []
    for _, _, distance in optodes.channels:
        brain = NEURAL_UM * neural if distance == LONG_MM else np.zeros(n_times)
        local = 0.3 * NEURAL_UM * band_noise((n_times,), sfreq, (0.01, 0.15), rng)
        scalp = SYSTEMIC_UM * systemic + CARDIAC_UM * beat
        hbo = (brain + local + scalp) * 1e-6
        hbr = (-0.3 * (brain + local) + 0.1 * scalp) * 1e-6
        density = distance * PPF * EXTINCTION @ np.stack([hbo, hbr])
        density += noise * NOISE_OD * rng.standard_normal(density.shape)
        rows.append(np.exp(-density))
    return np.concatenate(rows)
