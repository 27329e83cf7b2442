"""What a table tells about its study: gaps, odd designs, exchanged people, one recording twice, a side that lacks."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperscan.config import StudyConfig
from hyperscan.errors import count, name_some
from hyperscan.schema import MIN_DYADS, ROLES, SessionKey
from hyperscan.study.formats import sample_files
from hyperscan.study.session import Session

#: Sessions count as unequally spaced when the longest interval is more than so many times the shortest
#: (our choice: a fortnight between weekly sessions is a holiday, not another rhythm, but worth a look).
_UNEQUAL = 1.5
_BLOCK = 65_536


@dataclass(frozen=True)
class Finding:
    """Something about the study that a reader should know."""

    #: ``missing_session``, ``one_session``, ``two_sessions``, ``few_dyads``, ``unequal_spacing``, ``days_missing``,
    #: ``shared_therapist``, ``shared_client``, ``two_roles``, ``pair_twice``, ``swapped``, ``same_content``,
    #: ``roi_channels``, ``decisions``, ``partners``, ``short``, ``comparison`` or ``outcomes``
    kind: str
    #: one of {'info', 'warning', 'error'}: ``info`` is normal, ``warning`` weakens the result, ``error`` means that
    #: these sessions must not be analysed
    severity: Literal["info", "warning", "error"]
    #: What was found and what to do
    message: str
    #: Sessions concerned
    keys: tuple[SessionKey, ...] = ()

    def __str__(self) -> str:
        return self.message


def study_findings(sessions: Iterable[Session], time: str = StudyConfig.time) -> list[Finding]:
    """Look at the design: which sessions are missing, how they are spaced, who works with whom.

    Unequal intervals are a remark where ``time`` counts sessions: weeks follow them.

    Examples
    --------
    >>> from pathlib import Path
    >>> file = Path("x.edf")
    >>> two = [Session("D1", "T1", "C1", number, "eeg", file, file, Path()) for number in (1, 3)]
    >>> print(study_findings(two)[0])
    D1: session 2 is missing. The numbers are kept as they are; add the session if it exists.
    """
    ordered = sorted(sessions, key=lambda session: session.key)
    of_dyad: dict[str, list[Session]] = defaultdict(list)
    for session in ordered:
        of_dyad[session.dyad].append(session)
    found = _together([finding for group in of_dyad.values() for finding in _about_dyad(group)])
    found = [finding for finding in found if time == "session" or finding.kind != "unequal_spacing"]
    found += _about_people(ordered)
    several = sum(len({session.session for session in group}) > 1 for group in of_dyad.values())
    if ordered and several < MIN_DYADS:
        found.append(
            Finding(
                "few_dyads",
                "warning",
                f"{count(several, 'dyad has', 'dyads have')} two or more sessions; growth of a group is judged from "
                f"{MIN_DYADS} on. Each dyad is described by itself; add dyads for a verdict.",
            )
        )
    return found


def find_duplicates(sessions: Iterable[Session]) -> list[Finding]:
    """Find recordings that are byte for byte the same under two names.

    Only files of equal size whose first, middle and last 64 KiB agree are hashed (SHA-256) as a whole, so that a sound
    study costs a few reads per file.
    """
    found = []
    for uses in copied_recordings(sessions):
        listed = ", ".join(f"{row.key} {role} ({row.relative(row.files[role])})" for row, role in uses[:4])
        keys = tuple(dict.fromkeys(row.key for row, _ in uses))
        n_names = len({row.files[role] for row, role in uses})
        said = f"{listed}: the same bytes under {n_names} names. Correct the table, or replace the wrong copy."
        found.append(Finding("same_content", "error", said, keys))
    return found


def copied_recordings(sessions: Iterable[Session]) -> list[list[tuple[Session, str]]]:
    """Group the sessions and roles that use one recording under several names."""
    uses: dict[Path, list[tuple[Session, str]]] = defaultdict(list)
    for session in sorted(sessions, key=lambda session: session.key):
        for role in ROLES:
            uses[session.files[role]].append((session, role))
    places: dict[tuple[int, int], Path] = {}
    for path in uses:
        # a file that the table names twice on purpose is no duplicate
        with contextlib.suppress(OSError):
            status = path.stat()
            places.setdefault((status.st_dev, status.st_ino), path)
    return [[use for path in group for use in uses[path]] for group in same_files(places.values())]


def same_files(paths: Iterable[Path]) -> list[list[Path]]:
    """Group recordings that are byte for byte the same; those of another size than all others are not read."""
    groups = [list(paths)]
    for fingerprint in (_size, _sample, _digest):
        groups = [part for group in groups for part in _split(group, fingerprint)]
    return groups


def _about_dyad(sessions: Sequence[Session]) -> Iterator[Finding]:
    dyad = sessions[0].dyad
    numbers = sorted({session.session for session in sessions})
    keys = tuple(session.key for session in sessions)
    missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
    if missing:
        listed = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
        verb = "sessions {} are" if len(missing) > 1 else "session {} is"
        yield Finding(
            "missing_session",
            "warning",
            f"{dyad}: {verb.format(listed)} missing. The numbers are kept as they are; add the session if it exists.",
            keys,
        )
    if len(numbers) == 1:
        yield Finding(
            "one_session",
            "warning",
            f"{dyad}: one session only. Synchrony is computed; growth cannot be estimated. "
            "Add further sessions if they exist.",
            keys,
        )
    if len(numbers) == 2:
        yield Finding(
            "two_sessions",
            "warning",
            f"{dyad}: two sessions only. A slope of its own has no confidence interval. "
            "Add further sessions if they exist.",
            keys,
        )
    days = {session.session: session.days for session in sessions if session.days is not None}
    unknown = sorted({session.session for session in sessions} - set(days))
    if days and unknown:
        yield Finding(
            "days_missing",
            "warning",
            f"{dyad}: days are given, but not for session {', '.join(map(str, unknown[:10]))}. "
            "Fill them in to use time in weeks.",
            keys,
        )
    points = sorted(days.items())
    paces = [(late - early) / (b - a) for (a, early), (b, late) in itertools.pairwise(points)]
    if len(paces) > 1 and max(paces) > _UNEQUAL * min(paces):
        yield Finding(
            "unequal_spacing",
            "info",
            f"{dyad}: {min(paces):g} to {max(paces):g} days lie between sessions (median "
            f'{statistics.median(paces):g}). Set time = "weeks" in study.toml to count by days.',
            keys,
        )


def _together(findings: Sequence[Finding]) -> list[Finding]:
    """Say once what holds for several dyads in the same words."""
    alike: dict[tuple[str, str], list[tuple[str, Finding]]] = defaultdict(list)
    for finding in findings:
        dyad, said = finding.message.split(": ", 1)
        alike[finding.kind, said].append((dyad, finding))
    merged = []
    for (_, said), group in alike.items():
        keys = tuple(key for _, finding in group for key in finding.keys)
        named = name_some([dyad for dyad, _ in group])
        merged.append(dataclasses.replace(group[0][1], message=f"{named}: {said}", keys=keys))
    return merged


def _about_people(sessions: Sequence[Session]) -> Iterator[Finding]:
    dyads: dict[tuple[str, str], list[str]] = defaultdict(list)
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for session in sessions:
        for role in ROLES:
            dyads[role, getattr(session, role)].append(session.dyad)
        pairs[session.therapist, session.client].append(session.dyad)
    for (therapist, client), met in sorted(pairs.items()):
        names = list(dict.fromkeys(met))
        if len(names) > 1:
            yield Finding(
                "pair_twice",
                "warning",
                f"therapist {therapist} and client {client} are {' and '.join(names)}: one pair "
                "counts twice. Use one dyad id, unless these are two therapies.",
            )
    for (role, person), met in sorted(dyads.items(), reverse=True):
        names = list(dict.fromkeys(met))
        if len(names) > 1 and role == "therapist":
            yield Finding(
                "shared_therapist",
                "info",
                f"therapist {person} has {len(names)} clients ({', '.join(names)}); growth is then also "
                "tested over therapists.",
            )
        elif len(names) > 1:
            yield Finding(
                "shared_client",
                "warning",
                f"client {person} is in {len(names)} dyads ({', '.join(names)}). Check the id; dyads are "
                "taken as independent.",
            )
        if role == "client" and ("therapist", person) in dyads:
            yield Finding(
                "two_roles",
                "warning",
                f"{person} is a client in one dyad and a therapist in another. "
                "If these are two people, give them two ids.",
            )


def _split(paths: Iterable[Path], fingerprint: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Group paths of one fingerprint, two or more."""
    groups: dict[Hashable, list[Path]] = defaultdict(list)
    for path in paths:
        # a recording that is empty or cannot be opened is left to the reader, whose message says why
        with contextlib.suppress(OSError):
            groups[fingerprint(path)].append(path)
    return [group for mark, group in groups.items() if len(group) > 1 and mark != 0]


def _size(path: Path) -> int:
    return sum(entry.stat().st_size for entry in sample_files(path))


def _sample(path: Path) -> bytes:
    digest = hashlib.sha256()
    for entry in sample_files(path):
        size = entry.stat().st_size
        with entry.open("rb") as stream:
            for offset in (0, size // 2, max(0, size - _BLOCK)):
                stream.seek(offset)
                digest.update(stream.read(_BLOCK))
    return digest.digest()


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    for entry in sample_files(path):
        with entry.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.digest()


#: Sessions of a dyad from which on one can be compared with the others (our choice: the others must agree).
MIN_COMPARED = 3
#: The exchanged reading must leave less than this part of the distance that the given one leaves (our choice).
MAX_LEFT = 0.25
#: Two people must differ by this many standard deviations of one person over sessions (our choice).
MIN_APART = 3.0

#: Columns of quality.tsv that belong to the person more than to the day (our choice).
_PERSONAL = ("peak_hz_", "peak_width_", "peak_db_", "snr_", "amplitude", "highfreq", "s2_line", "band_sd", "mayer")

#: What is known of the two people of a session: role -> column of quality.tsv -> value, None where it is not known.
Facts = Mapping[str, Mapping[str, float | str | None]]
Array = NDArray[np.float64]


def find_swaps(people: Mapping[SessionKey, Facts]) -> list[Finding]:
    """Look for sessions in which the two people seem to be exchanged; nothing is ever changed.

    Examples
    --------
    >>> def session(number, therapist, client):
    ...     facts = {"therapist": {"peak_hz_alpha": therapist}, "client": {"peak_hz_alpha": client}}
    ...     return SessionKey("D1", number, "eeg", "", ""), facts
    >>> rows = [session(1, 9.1, 11.2), session(2, 9.0, 11.1), session(3, 11.1, 9.1), session(4, 9.2, 11.3)]
    >>> [finding.keys[0].session for finding in find_swaps(dict(rows))]
    [3]
    """
    names = sorted(
        {name for roles in people.values() for facts in roles.values() for name in facts if name.startswith(_PERSONAL)}
    )
    groups: dict[tuple[str, str, str, str], list[SessionKey]] = defaultdict(list)
    for key in sorted(people):
        groups[key.dyad, key.modality, key.task, key.run].append(key)
    vectors = {
        # None, as JSON has what is not known, becomes NaN
        key: np.array([[facts[role].get(name) for name in names] for role in ROLES], dtype=float)
        for key, facts in people.items()
    }
    scale = _measure_scatter(list(groups.values()), vectors)
    found = []
    for keys in groups.values():
        for key in keys if len(keys) >= MIN_COMPARED else ():
            others = np.array([vectors[other] / scale for other in keys if other != key])
            left = _left_exchanged(vectors[key] / scale, others)
            if left < MAX_LEFT:
                said = (
                    f"{key}: the therapist's recording resembles the client's of the other sessions, and the other way "
                    f"round: with the two exchanged, {left:.2f} of its squared distance to the other sessions is left "
                    f"(remarked below {MAX_LEFT:g}; usually it is above 1). "
                    "Check the two files (or channel rules) of this row in dyads.tsv; nothing was exchanged."
                )
                found.append(Finding("swapped", "warning", said, (key,)))
    return found


def _measure_scatter(groups: list[list[SessionKey]], vectors: Mapping[SessionKey, Array]) -> Array:
    """Estimate one person's standard deviation over sessions by the median absolute deviation.

    Shapes: ``vectors`` (2, n_facts) each -> (n_facts,).
    """
    deviations = []
    for keys in groups:
        held = np.array([vectors[key] for key in keys])
        deviations.append(np.abs(held - _median(held)).reshape(-1, held.shape[-1]))
    spread = 1.4826 * _median(np.concatenate(deviations)) if deviations else np.ones(0)
    # a fact that never varies tells people apart with certainty, but must not count beyond all others
    everything = np.concatenate(list(vectors.values())) if vectors else np.ones((1, 0))
    overall = np.abs(everything - _median(everything)).max(axis=0, initial=0.0, where=np.isfinite(everything))
    floor = np.maximum(0.02 * overall, 1e-12)
    return np.asarray(np.maximum(np.nan_to_num(spread), floor), dtype=float)


def _median(values: Array) -> Array:
    """Take the median over the first axis without NaN; NaN where nothing is known.

    Shapes: (n, ...) -> (...).
    """
    middle = np.full(values.shape[1:], np.nan)
    for at in np.ndindex(middle.shape):
        held = values[(slice(None), *at)]
        held = held[np.isfinite(held)]
        middle[at] = np.median(held) if held.size else np.nan
    return middle


def _left_exchanged(here: Array, others: Array) -> float:
    """Share of a session's distance to the others that is left with its two people exchanged; 1 where it cannot tell.

    Shapes: ``here`` (2, n_facts), ``others`` (n_sessions, 2, n_facts).
    """
    usual = _median(others)
    known = np.isfinite(here).all(axis=0) & np.isfinite(usual).all(axis=0)
    if not known.any():
        return 1.0
    here, usual = here[:, known], usual[:, known]
    apart = np.sqrt(np.mean((usual[0] - usual[1]) ** 2))
    given, exchanged = np.mean((here - usual) ** 2), np.mean((here[::-1] - usual) ** 2)
    return float(exchanged / given) if apart > MIN_APART and given > 0 else 1.0


def with_both_sides(config: StudyConfig, tasks: Collection[str], groups: Collection[str]) -> StudyConfig:
    """Keep of the comparisons that were asked for those that have data on both sides."""
    both = config.reference in groups and len(groups) > 1
    return replace(
        config,
        contrasts={name: contrast for name, contrast in config.contrasts.items() if set(contrast) <= set(tasks)},
        group=config.group if both else "",
        reference=config.reference if both else "",
    )


def comparison_findings(sessions: Sequence[Session], good: Sequence[Session], config: StudyConfig) -> Iterator[Finding]:
    """Warn of comparisons that lost a side, because none of its sessions can be used."""
    tasks = {row.task for row in good}
    asked, left = ({str(row.covariates[config.group]) for row in rows if config.group} for rows in (sessions, good))
    kept = with_both_sides(config, tasks, left)
    for name, contrast in config.contrasts.items():
        if name not in kept.contrasts:
            lost = ", ".join(repr(task) for task in contrast if task not in tasks)
            yield _lost(f"contrasts.{name}: no session of task {lost} can be used, so the contrast is not told.")
    if asked > left:
        lost = ", ".join(map(repr, sorted(asked - left)))
        then = "the others are compared" if kept.group else "groups are not compared"
        yield _lost(f"group = {config.group!r}: no session of {lost} can be used, so {then}.")


def _lost(message: str) -> Finding:
    return Finding("comparison", "warning", f"{message} The list of what was left out says why.")
