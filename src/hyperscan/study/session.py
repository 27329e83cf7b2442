"""One row of ``dyads.tsv``: who met whom, when, and in which files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hyperscan.errors import InputError
from hyperscan.schema import SessionKey
from hyperscan.study.labels import MAX_LABEL, is_label

#: How a cell begins that names a channel of the recording instead of a file.
AUX = "aux:"


@dataclass(frozen=True)
class Session:
    """One dyad-session. Holds no data.

    Parameters
    ----------
    dyad, therapist, client : str
        Labels of 1-64 letters A-Z a-z and digits.
    session : int
        Session number, from 1 on.
    modality : {'eeg', 'fnirs'}
        Kind of recording.
    therapist_file, client_file : Path
        Paths that lead to a place inside the study folder; equal where both people are in one file. Links
        keep the name that the table gives them, by which the parts of a recording find each other.
    root : Path
        Study folder, which messages name files relative to.
    days : float or None
        Days since the first session of the dyad.
    task, run : str
        BIDS labels; empty when there is one only.
    start_s, stop_s : float or None
        Part of the recording to use, in s from its beginning.
    segment_event : str or None
        Annotation whose spans are the segments to use, or ``speaks:therapist``, ``client``, ``both`` or ``nobody``: the
        time in which these speak, by two masks as ``shared_file`` or by annotations.
    therapist_channels, client_channels : str or None
        Which part of the file is this person: ``1-32``, ``prefix:T_``, ``suffix:-0``, ``sources:1-8``,
        ``stream:NAME`` or a SNIRF group ``/nirs1``.
    clock : str or None
        ``same_amplifier``, ``triggers``, ``timestamps``, ``offset``, ``assumed``, ``none``; None: not given.
    therapist_offset_s, client_offset_s : float or None
        Time of each recording's first sample on a common clock, in s.
    sync_event : str or None
        Annotation or trigger that both recordings share.
    shared_file : Path, str or None
        Signal that both people were exposed to (audio, motion, pupil): a file inside the study folder, or ``aux:NAME``,
        a channel of the recording.
    covariates : mapping
        Further columns of the table: symptoms, alliance ...
    line : int
        Line of ``dyads.tsv``, for messages.

    Raises
    ------
    InputError
        If a label holds other signs.

    Examples
    --------
    >>> here = Path("study")
    >>> Session("D1", "T1", "C1", 1, "eeg", here / "t.edf", here / "c.edf", here, clock="same_amplifier")
    <Session | D1 ses-01 eeg | T1, C1 | t.edf, c.edf>
    """

    dyad: str
    therapist: str
    client: str
    session: int
    modality: str
    therapist_file: Path
    client_file: Path
    root: Path
    days: float | None = None
    task: str = ""
    run: str = ""
    start_s: float | None = None
    stop_s: float | None = None
    segment_event: str | None = None
    therapist_channels: str | None = None
    client_channels: str | None = None
    clock: str | None = None
    therapist_offset_s: float | None = None
    client_offset_s: float | None = None
    sync_event: str | None = None
    shared_file: Path | str | None = None
    covariates: Mapping[str, int | float | str | None] = field(default_factory=dict)
    line: int = 0

    def __post_init__(self) -> None:
        # folders and groups are named by them, so two must never read alike
        for name in ("dyad", "therapist", "client", "task", "run"):
            label = getattr(self, name)
            if not is_label(label) and (label or name not in ("task", "run")):
                raise InputError(
                    f"{name} = {label!r}: expected 1-{MAX_LABEL} letters A-Z a-z and digits. Give it such a code."
                )

    def __repr__(self) -> str:
        files = self.relative(self.therapist_file), self.relative(self.client_file)
        return f"<Session | {self.key} | {self.therapist}, {self.client} | {', '.join(dict.fromkeys(files))}>"

    @property
    def files(self) -> dict[str, Path]:
        """What the row names: recordings by role, and the file of a shared signal as ``shared``."""
        named = {"therapist": self.therapist_file, "client": self.client_file, "shared": self.shared_file}
        return {name: path for name, path in named.items() if isinstance(path, Path)}

    @property
    def shared_channel(self) -> str:
        """Channel of the recording that holds the shared signal; empty where none does."""
        return self.shared_file.removeprefix(AUX) if isinstance(self.shared_file, str) else ""

    @property
    def key(self) -> SessionKey:
        """Dyad, session, modality, task and run."""
        return SessionKey(self.dyad, self.session, self.modality, self.task, self.run)

    def relative(self, path: Path) -> str:
        """Path as messages may show it: relative to the study folder, in POSIX form."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
