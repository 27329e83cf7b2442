"""Comparisons of tasks and groups that a study asked for, as far as its data have both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from hyperscan.config import StudyConfig
from hyperscan.study import Finding, Session


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
