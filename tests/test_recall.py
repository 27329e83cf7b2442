"""What is remembered is what would be computed, with its warnings, as long as all that it depends on is equal."""

from __future__ import annotations

import warnings

import pytest

from hyperscan.recall import is_remembering, remembered, remembering


def test_without_anybody_who_shares_nothing_is_kept() -> None:
    assert not is_remembering()
    assert remembered("list", 1, list) is not remembered("list", 1, list)


def test_a_value_is_kept_for_an_equal_key_and_one_of_each_thing() -> None:
    with remembering():
        assert is_remembering()
        first, other = remembered("a", (1, "x"), list), remembered("b", (1, "x"), list)
        assert remembered("a", (1, "x"), list) is first is not other
        assert remembered("a", (2, "x"), list) is not first
        assert remembered("a", (1, "x"), list) is not first  # only the last one is there
        assert remembered("b", (1, "x"), list) is other
        with remembering():
            assert remembered("b", (1, "x"), list) is not other
    assert not is_remembering()


def test_a_warning_comes_with_its_value_each_time() -> None:
    def warn() -> int:
        warnings.warn("weaker", UserWarning, stacklevel=1)
        return 3

    with remembering():
        for _ in range(2):
            with pytest.warns(UserWarning, match="weaker"):
                assert remembered("a", 1, warn) == 3


def test_what_fails_is_tried_again() -> None:
    made = []

    def fail() -> int:
        made.append(1)
        raise ValueError("no")

    with remembering():
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                remembered("a", 1, fail)
    assert len(made) == 2
