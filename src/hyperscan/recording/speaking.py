"""Who speaks: the spans in which one, the other, both or nobody does, from a mask or an annotation per person."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from mne.io import BaseRaw

from hyperscan.errors import ReadError
from hyperscan.recording.annotations import Spans, is_called, listed_events, own_annotations
from hyperscan.recording.records import PairedRecording, SharedSignal
from hyperscan.schema import ROLES, SPEAKING, SPEAKS, SPOKEN


def speaking_spans(pair: PairedRecording, asked: str) -> Spans:
    """Find when those speak whom ``speaks:WHO`` names, and nobody else does, in s of the therapist's recording.

    Two masks of ``shared_file`` tell it (0 and 1; the therapist's first), else annotations: see :data:`SPOKEN`. Time
    that masks do not cover belongs to nobody's silence.
    """
    wanted = SPEAKING[asked.removeprefix(SPEAKS)]
    if pair.shared is not None:
        start, stop, found = _of_masks(pair, pair.shared)
    else:
        start, stop, found = 0.0, pair.therapist.n_times / pair.therapist.info["sfreq"], _of_annotations(pair)
    edges = np.unique([start, stop, *(edge for spans in found for span in spans for edge in span)])
    kept: Spans = []
    for a, b in pairwise(edges[(edges >= start) & (edges <= stop)].tolist()):
        now = tuple(any(first <= a < last for first, last in spans) for spans in found)
        if now != wanted:
            continue
        if kept and kept[-1][1] == a:
            kept[-1] = (kept[-1][0], b)
        else:
            kept.append((a, b))
    if not kept:
        raise ReadError(f"{pair.session.key}: segment_event = {asked!r}: there is no such time. Leave the row out.")
    return kept


def _of_masks(pair: PairedRecording, shared: SharedSignal) -> tuple[float, float, Sequence[Spans]]:
    """First and last moment that the masks cover, and when each of the two speaks."""
    data, sfreq = shared.raw.get_data(), float(shared.raw.info["sfreq"])
    if len(data) != len(ROLES) or not np.isin(data, (0, 1)).all():
        raise ReadError(
            f"{pair.session.key}: segment_event asks who speaks, and shared_file is no pair of masks: it holds "
            f"{len(data)} signals from {data.min():g} to {data.max():g}.\nGive a table of two columns of 0 and 1, the "
            "therapist's first, or leave shared_file empty and annotate who speaks."
        )
    spans = []
    for mask in data:
        edges = np.flatnonzero(np.diff(mask, prepend=0, append=0))
        spans.append([(shared.start_s + a / sfreq, shared.start_s + b / sfreq) for a, b in edges.reshape(-1, 2)])
    return shared.start_s, shared.start_s + data.shape[-1] / sfreq, spans


def _of_annotations(pair: PairedRecording) -> Sequence[Spans]:
    """When each of the two speaks by the annotations of the therapist's recording, else of the client's."""
    spans = [_called(pair.therapist, name) or _called(pair.client, name) for name in SPOKEN.values()]
    missing = [name for name, found in zip(SPOKEN.values(), spans, strict=True) if not found]
    if missing:
        raise ReadError(
            f"{pair.session.key}: segment_event asks who speaks, and nothing is annotated {missing[0]!r}. "
            f"There: {listed_events(pair.therapist)}.\nAnnotate when each of the two speaks, or give two masks as "
            "shared_file."
        )
    return spans


def _called(raw: BaseRaw, name: str) -> Spans:
    """Spans of the annotations of one name that have a length, in s from the first sample."""
    kept = own_annotations(raw)
    rows = zip(kept.onset, kept.duration, kept.description, strict=True)
    return [(float(a), float(a + length)) for a, length, said in rows if length > 0 and is_called(str(said), name)]
