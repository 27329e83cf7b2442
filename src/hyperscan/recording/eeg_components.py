"""Independent components of eyes and muscles, removed on request.

Off by default: a decomposition differs from session to session, so what it removes does too, and the growth
of synchrony is measured over sessions (our choice).
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from importlib.metadata import version

import mne
import numpy as np
from mne.io import BaseRaw

from hyperscan.config import StudyConfig
from hyperscan.errors import DataQualityWarning, count
from hyperscan.recording.windows import clean_mask

#: Fewer channels than this give no useful decomposition (our choice).
MIN_CHANNELS = 8
#: Channels beside the eyes, as a stand-in for an EOG.
_NEAR_EYES = ("Fp1", "Fp2", "Fpz", "AF7", "AF8", "AF3", "AF4", "F7", "F8")
#: Probability from which a class of mne-icalabel is believed (our choice).
_LABEL_PROBABILITY = 0.8


def remove_components(raw: BaseRaw, config: StudyConfig) -> tuple[BaseRaw, tuple[str, ...]]:
    """Remove components of eyes or muscles, as ``eeg_ica`` asks.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Filtered, referenced EEG; changed in place where components are removed.
    config : StudyConfig
        ``eeg_ica`` ('none', 'ocular', 'muscle' or 'ocular+muscle') and ``seed``.

    Returns
    -------
    raw : mne.io.BaseRaw
        The same object.
    notes : tuple of str
        What was removed.

    Notes
    -----
    Extended Infomax. Classes by mne-icalabel (Pion-Tonachini et al. 2019,
    https://doi.org/10.1016/j.neuroimage.2019.05.026) where it is installed and channels have positions, else by
    MNE's detectors: correlation with the channels next to the eyes, and the spectrum and topography of muscle
    (Dharmaprani et al. 2016, https://doi.org/10.1109/EMBC.2016.7590834). The note says which; keep to one
    within a study.
    """
    if config.eeg_ica == "none":
        return raw, ()
    if len(raw.ch_names) < MIN_CHANNELS:
        warnings.warn(
            f"eeg_ica = {config.eeg_ica!r} needs {MIN_CHANNELS} channels; "
            f"{count(len(raw.ch_names), 'is', 'are')} left.",
            DataQualityWarning,
            stacklevel=2,
        )
        return raw, (f"no ICA: fewer than {MIN_CHANNELS} channels",)
    kinds = config.eeg_ica.split("+")
    ica = _fit(raw, config.seed)
    detector, found = _detected(raw, ica, kinds)
    ica.exclude = sorted({component for components in found.values() for component in components})
    ica.apply(raw, verbose="error")
    removed = ", ".join(f"{len(components)} {kind}" for kind, components in found.items())
    return raw, (
        f"ICA (extended Infomax, {count(ica.n_components_, 'component')}), found by {detector}: removed {removed}",
    )


def _detected(raw: BaseRaw, ica: mne.preprocessing.ICA, kinds: list[str]) -> tuple[str, dict[str, list[int]]]:
    """Name the detector, as two installations may differ in it, and list the components of each kind."""
    if importlib.util.find_spec("mne_icalabel") is None:
        why = "mne-icalabel is not installed"
    elif not _all_placed(raw):
        why = "mne-icalabel needs positions of all channels"
    else:
        try:
            return f"mne-icalabel {version('mne-icalabel')}", _by_icalabel(raw, ica, kinds)
        except ImportError:
            why = "mne-icalabel needs onnxruntime or torch"
    return f"MNE's detectors ({why})", {kind: _by_mne(raw, ica, kind) for kind in kinds}


def _all_placed(raw: BaseRaw) -> bool:
    return all(np.isfinite(ch["loc"][:3]).all() and ch["loc"][:3].any() for ch in raw.info["chs"])


def _fit(raw: BaseRaw, seed: int) -> mne.preprocessing.ICA:
    rank = int(np.linalg.matrix_rank(np.cov(raw.get_data())))
    ica = mne.preprocessing.ICA(
        n_components=min(rank, 30),
        method="infomax",
        fit_params={"extended": True},
        random_state=seed,
        verbose="error",
    )
    # at most ten minutes, and no more than about 100 Hz, carry all the structure that is needed
    decim = max(1, int(raw.info["sfreq"] // 100))
    stop = min(raw.n_times, round(600 * raw.info["sfreq"]))
    ica.fit(
        raw,
        start=0,
        stop=stop,
        decim=decim,
        reject_by_annotation=bool(clean_mask(raw)[:stop].any()),
        verbose="error",
    )
    return ica


def _by_icalabel(raw: BaseRaw, ica: mne.preprocessing.ICA, kinds: list[str]) -> dict[str, list[int]]:
    # an optional package, imported by name as it may be absent
    label_components = importlib.import_module("mne_icalabel").label_components
    # it takes the average of all channels for granted; components do not change by it
    referenced = raw.copy().set_eeg_reference("average", projection=False, verbose="error")
    # trained on 1-100 Hz, it warns: preparation has ended the passband below mains
    with mne.use_log_level("ERROR"):
        result = label_components(referenced, ica, method="iclabel")
    names = {"ocular": "eye blink", "muscle": "muscle artifact"}
    pairs = list(zip(result["labels"], result["y_pred_proba"], strict=True))
    return {
        kind: [at for at, (label, p) in enumerate(pairs) if label == names[kind] and p >= _LABEL_PROBABILITY]
        for kind in kinds
    }


def _by_mne(raw: BaseRaw, ica: mne.preprocessing.ICA, kind: str) -> list[int]:
    if kind == "muscle":
        components, _ = ica.find_bads_muscle(raw, verbose="error")
        return [int(component) for component in components]
    near = [name for name in _NEAR_EYES if name in raw.ch_names][:2]
    if not near:
        warnings.warn(
            "eeg_ica = 'ocular': no channel next to the eyes is left to find blinks with.",
            DataQualityWarning,
            stacklevel=2,
        )
        return []
    components, _ = ica.find_bads_eog(raw, ch_name=near, measure="correlation", threshold=0.7, verbose="error")
    return [int(component) for component in components]
