"""Where the random terms of a mixed model stand in the stacked columns of each independent group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperscan.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RandomTerm:
    """One random term: these columns vary by this grouping.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Group of every observation.
    columns : ndarray of shape (n, q)
        Columns whose coefficients differ between groups.
    correlated : bool
        Whether those coefficients may correlate.
    """

    groups: NDArray[Any]
    columns: Array
    correlated: bool = True


def column_sizes(columns: Array) -> Array:
    """Root mean square of every column, 1 for a column of zeros."""
    size = np.sqrt((columns**2).mean(0))
    return np.where(size > 0, size, 1.0)


@dataclass(frozen=True)
class Layout:
    """Where every term's columns stand in the stacked ``Z`` of a top-level group."""

    top: NDArray[np.intp]
    labels: NDArray[Any]
    slots: tuple[NDArray[np.intp], ...]
    n_slots: tuple[int, ...]
    entries: tuple[tuple[tuple[int, int], ...], ...]
    patterns: Array
    scale_z: tuple[Array, ...]

    @classmethod
    def of(cls, random: Sequence[RandomTerm]) -> Layout:
        """Lay out these terms; the first one's grouping is the coarsest."""
        labels, top = np.unique(random[0].groups, return_inverse=True)
        slots, n_slots = [np.zeros(len(top), np.intp)], [1]
        for term in random[1:]:
            slot = _slots(top, term.groups)
            slots.append(slot)
            n_slots.append(int(slot.max()) + 1)
        entries = tuple(_entries(term) for term in random)
        widths = [term.columns.shape[1] for term in random]
        scale_z = tuple(column_sizes(np.asarray(term.columns, float)) for term in random)
        patterns = _patterns(entries, widths, n_slots)
        return cls(top, labels, tuple(slots), tuple(n_slots), entries, patterns, scale_z)

    def stack(self, random: Sequence[RandomTerm], x: Array, y: Array) -> tuple[Array, Array, Array]:
        """Arrays by top-level group, filled with zeros."""
        rank = _rank_within(self.top)
        q = self.patterns.shape[1]
        n_groups, n_max = len(self.labels), max(int(rank.max()) + 1, q)
        z = np.zeros((n_groups, n_max, q))
        offset = 0
        for term, slot, n_slots, scale in zip(random, self.slots, self.n_slots, self.scale_z, strict=True):
            width = term.columns.shape[1]
            for column in range(width):
                z[self.top, rank, offset + slot * width + column] = term.columns[:, column] / scale[column]
            offset += n_slots * width
        xs = np.zeros((n_groups, n_max, x.shape[1]))
        ys = np.zeros((n_groups, n_max))
        xs[self.top, rank], ys[self.top, rank] = x, y
        return z, xs, ys

    def starts(self) -> list[Array]:
        """Small, middling and large random effects; very large ones where rows hardly outnumber coefficients."""
        diagonal = np.array([r == c for term in self.entries for r, c in term], float)
        starts = [diagonal, 0.2 * diagonal + 0.02 * (1 - diagonal), 10 * diagonal]
        if len(self.top) <= len(self.labels) * self.patterns.shape[1]:
            starts.append(30 * diagonal)
        return starts


def _slots(top: NDArray[np.intp], groups: NDArray[Any]) -> NDArray[np.intp]:
    labels, inner = np.unique(groups, return_inverse=True)
    slot = np.zeros(len(labels), np.intp)
    seen: dict[int, int] = {}
    for k in range(len(labels)):
        owners = np.unique(top[inner == k])
        if len(owners) > 1:
            raise InputError(f"random: group {labels[k]!r} lies in several groups of the first term; nest it in one.")
        slot[k] = seen.get(int(owners[0]), 0)
        seen[int(owners[0])] = int(slot[k]) + 1
    return slot[inner]


def _entries(term: RandomTerm) -> tuple[tuple[int, int], ...]:
    q = term.columns.shape[1]
    if not term.correlated:
        return tuple((r, r) for r in range(q))
    return tuple((r, c) for c in range(q) for r in range(c, q))


def _patterns(entries: Sequence[Sequence[tuple[int, int]]], widths: Sequence[int], n_slots: Sequence[int]) -> Array:
    total = sum(w * s for w, s in zip(widths, n_slots, strict=True))
    patterns, offset = [], 0
    for term, width, slots in zip(entries, widths, n_slots, strict=True):
        for r, c in term:
            pattern = np.zeros((total, total))
            at = offset + width * np.arange(slots)
            pattern[at + r, at + c] = 1.0
            patterns.append(pattern)
        offset += width * slots
    return np.array(patterns)


def _rank_within(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    order = np.argsort(groups, kind="stable")
    counts = np.bincount(groups)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(len(groups), np.intp)
    rank[order] = np.arange(len(groups)) - first
    return rank
