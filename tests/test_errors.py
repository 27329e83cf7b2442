"""What is raised on purpose: one family, an exit code each, and words that agree with their number."""

from __future__ import annotations

import inspect

import pytest

from hyperscan import errors

ERRORS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, Warning)
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_is_of_the_family_and_is_in_the_overview(error: type[Exception]) -> None:
    assert issubclass(error, errors.HyperscanError)
    assert f" {error.__name__} " in f" {errors.__doc__} ".replace("\n", " ")
    assert error("x: wrong").exit_code in range(2, 7)


def test_an_exit_code_says_one_kind_of_thing() -> None:
    codes = {error.__name__: error.exit_code for error in ERRORS}
    assert codes["InputError"] == codes["ConfigError"] == codes["TableError"] == 2
    assert codes["SessionError"] == codes["ReadError"] == codes["ClockError"] == codes["QualityError"] == 3
    assert [codes[f"{name}Error"] for name in ("NothingToAnalyse", "OutputLocked", "OutputWrite")] == [4, 5, 6]


def test_input_errors_are_value_errors_and_tables_list_their_problems() -> None:
    assert issubclass(errors.InputError, ValueError)
    assert errors.TableError("two faults", ["one", "two"]).problems == ("one", "two")
    assert issubclass(errors.DataQualityWarning, UserWarning)


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [(0, ("dyad",), "0 dyads"), (1, ("dyad",), "1 dyad"), (2, ("entry", "entries"), "2 entries")],
)
def test_numbers_and_nouns_agree(n: int, words: tuple[str, ...], said: str) -> None:
    assert errors.count(n, *words) == said


def test_only_a_close_word_is_suggested() -> None:
    assert errors.did_you_mean("aplha", ["theta", "alpha"]) == " Did you mean 'alpha'?"
    assert errors.did_you_mean("x", ["theta", "alpha"]) == ""
    assert errors.did_you_mean("alpha", iter([])) == ""
