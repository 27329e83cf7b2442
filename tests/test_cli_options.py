"""Options that are described once: spelling, whole numbers, seeds, and what a table holds."""

from __future__ import annotations

import argparse
import inspect

import pytest

from hyperscan.cli.options import SCATTER, TABLE_OPTIONS, TABLE_TYPES, option, read_count, read_seed
from hyperscan.growth import Scatter, fit_growth
from hyperscan.schema import Outcome


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_count, "1", 1),
        (read_count, "1000000", 1_000_000),
        (read_seed, "0", 0),
        (read_seed, "4294967295", 2**32 - 1),
    ],
)
def test_whole_numbers_are_read(read: object, text: str, value: int) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((read_count, text) for text in ("0", "1000001", "2.0", "-1", "", "x")),
        *((read_seed, text) for text in ("4294967296", "-1", "1e3")),
    ],
)
def test_what_is_no_such_number_is_refused_with_what_is_allowed(read: object, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not a whole number from "):
        read(text)


def test_options_are_spelt_with_hyphens() -> None:
    assert option("dyads_per_therapist") == "--dyads-per-therapist"


def test_options_of_a_table_are_arguments_of_the_function_behind_them() -> None:
    known = {*inspect.signature(fit_growth).parameters, *Outcome.__dataclass_fields__}
    assert TABLE_OPTIONS.keys() <= known
    assert TABLE_TYPES.keys() <= TABLE_OPTIONS.keys()
    assert SCATTER.keys() <= set(Scatter.__dataclass_fields__)
