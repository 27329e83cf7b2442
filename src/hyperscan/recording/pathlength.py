"""How far light travels through a head: one factor for everybody, or one per person and wavelength by age."""

from __future__ import annotations

from typing import Any

import numpy as np
from mne.io import BaseRaw
from numpy.typing import ArrayLike, NDArray

from hyperscan.config import BY_AGE, StudyConfig
from hyperscan.errors import QualityError
from hyperscan.recording.records import PairedRecording

#: Oldest age that is believed, in years (our choice).
MAX_AGE = 120.0


def differential_pathlength(wavelength_nm: ArrayLike, age_years: float) -> NDArray[np.float64]:
    """Differential pathlength factor of the frontal human head.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelengths in nm.
    age_years : float
        Age in years.

    Returns
    -------
    ndarray of the shape of `wavelength_nm`
        Path of the light over the distance of source and detector.

    References
    ----------
    Scholkmann & Wolf 2013, https://doi.org/10.1117/1.JBO.18.10.105004 (equation 7)

    Examples
    --------
    >>> differential_pathlength([760, 850], 30).round(2).tolist()
    [6.3, 5.23]
    """
    wave = np.asarray(wavelength_nm, float)
    return np.asarray(
        223.3 + 0.05624 * age_years**0.8493 - 5.723e-7 * wave**3 + 0.001245 * wave**2 - 0.9025 * wave, dtype=np.float64
    )


def age_of(pair: PairedRecording, role: str, config: StudyConfig) -> float:
    """Age of one person in years, from the column ``therapist_age`` or ``client_age``; NaN if it is not needed.

    Raises
    ------
    QualityError
        If the settings need an age that the table does not give: a session with another factor than the
        person's others would be converted differently.
    """
    if config.fnirs_ppf != BY_AGE:
        return float("nan")
    found: Any = pair.session.covariates.get(f"{role}_age")
    if isinstance(found, int | float) and 0 <= found <= MAX_AGE:
        return float(found)
    raise QualityError(
        f"{pair.session.key}: fnirs_ppf = 'age' needs the {role}'s age in years (column {role}_age of dyads.tsv, "
        f"0 to {MAX_AGE:g}), found {found!r}.\nFill it in for every session, or set fnirs_ppf to a number."
    )


def pathlength_factors(raw: BaseRaw, config: StudyConfig, age_years: float) -> tuple[float | tuple[float, ...], str]:
    """Choose the factors of the Beer-Lambert law for one person.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Optical density; names end in the nominal wavelength.
    config : StudyConfig
        ``fnirs_ppf``.
    age_years : float
        Only used with ``fnirs_ppf = 'age'``.

    Returns
    -------
    factors : float, or tuple of float with one per wavelength in ascending order
    note : str
        In words, for the history.
    """
    if config.fnirs_ppf != BY_AGE:
        return float(config.fnirs_ppf), f"partial pathlength factor {float(config.fnirs_ppf):g}"
    waves = sorted({float(name.rsplit(" ", 1)[-1]) for name in raw.ch_names})
    factors = tuple(differential_pathlength(waves, age_years).tolist())
    said = ", ".join(f"{factor:.2f} at {wave:g} nm" for factor, wave in zip(factors, waves, strict=True))
    return factors, f"differential pathlength factor by age (Scholkmann & Wolf 2013): {said}"
