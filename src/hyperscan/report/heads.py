"""Column heads: names of the tables' columns in words, with units."""

from __future__ import annotations

from hyperscan.plots.frames import column_label

#: Key of a table or of ``growth.json`` to the head of its column.
WORDS = {
    "dyad": "Dyad",
    "session": "Session",
    "modality": "Modality",
    "task": "Task",
    "run": "Run",
    "person": "Person",
    "therapist": "Therapist",
    "client": "Client",
    "signal": "Signal",
    "metric": "Metric",
    "band": "Band",
    "roi": "ROI pair",
    "roi_therapist": "ROI, therapist",
    "roi_client": "ROI, client",
    "slope": "Slope (Fisher z per unit of time)",
    "se": "SE",
    "p": "p",
    "p_max_t": "p, max-T corrected",
    "p_maxt": "p, max-T corrected",
    "p_bh": "p, FDR (BH)",
    "q_bh": "q, FDR (BH)",
    "p_holm": "p, Holm corrected",
    "n_dyads": "Dyads (n)",
    "primary": "Primary",
    "name": "Column",
    "ci_low": "95 % CI, low",
    "ci_high": "95 % CI, high",
    "excess_z": "Excess (Fisher z)",
    "z": "Synchrony (Fisher z)",
    "estimate": "Estimate",
    "pseudo_mean_z": "Chance, mean (Fisher z)",
    "pseudo_sd_z": "Chance, SD (Fisher z)",
    "n_pseudo": "Pseudo pairs (n)",
    "lag_estimate": "Whole-session estimate",
    "lag_p": "p, lag null",
    "n_windows": "Windows (n)",
    "window_s": "Window (s)",
    "seconds": "Data used (s)",
    "days": "Day",
    "flags": "Flags",
    "reason": "Reason",
    "grade": "Grade",
    "clean_seconds": "Clean (s)",
    "channels_kept": "Channels kept",
    "channels_total": "of",
    "motion": "Motion (share)",
    "highfreq": "High-frequency power",
    "s2_line": "Signal fraction s²",
    "s2_quad": "s², curved fit",
    "clock_source": "Clock",
    "clock_offset_s": "Offset (s)",
    "clock_ppm": "Drift removed (ppm)",
    "clock_residual_ms": "Residual (ms)",
    "short_r2": "Short-channel r²",
    "band_sd": "In-band SD",
    "mayer_fraction": "Mayer fraction",
    "motion_overlap": "Joint motion",
    "instrument_noise": "Instrument noise",
    "sci": "Scalp coupling",
}

#: The same for columns that end in the name of a band.
_BANDWISE = {
    "snr_": "Signal fraction, ",
    "peak_hz_": "Peak (Hz), ",
    "peak_db_": "Peak (dB over the background), ",
    "peak_width_": "Peak width (Hz), ",
}


def quality_words(keys: list[str]) -> dict[str, str]:
    """Return :data:`WORDS` with the columns of each band added."""
    words = dict(WORDS)
    for key in keys:
        for prefix, text in _BANDWISE.items():
            if key.startswith(prefix):
                words[key] = text + key.removeprefix(prefix)
    return words


def measure(column: str) -> str:
    """Say what a column measures, with its unit."""
    return WORDS.get(column) or column_label(column).replace("\n", " ")
