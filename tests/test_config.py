"""Settings: what is allowed, what is said, and that TOML comes back unchanged."""

from __future__ import annotations

import tomllib
from dataclasses import Field, fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperscan.config import Primary, StudyConfig
from hyperscan.errors import ConfigError


def test_defaults_are_the_documented_ones() -> None:
    config = StudyConfig()
    assert config.bands_of("eeg") == {"theta": (4, 8), "alpha": (8, 12), "beta": (13, 30), "gamma": (30, 40)}
    assert config.bands_of("fnirs") == {"slow": (0.02, 0.10)}
    assert config.primary_of("eeg") == Primary("plv", "alpha", "posterior-posterior")
    assert config.primary_of("fnirs") == Primary("wtc", "slow", "all-all")
    assert (config.window_s, config.min_windows, config.min_seconds, config.max_partners) == (20, 3, 120, 20)
    assert config.metrics == {"eeg": ("plv", "ciplv", "imcoh", "accorr"), "fnirs": ("wtc", "corr")}


@pytest.mark.parametrize(
    "config",
    [
        StudyConfig(),
        StudyConfig(primary={"metric": "coh", "band": "beta", "roi": "frontal-central", "task": "talk"}),
        StudyConfig(metrics=["plv"], bands={"mu": (9, 13)}, rois={"motor": ("C3", "C4")}, roi_pairs=["motor-all"]),
        StudyConfig(contrasts={"x": {"": 0.5, 'Gespräch "1"': 0.5, "a.b": -1}}),  # tasks are not always bare keys
    ],
)
@pytest.mark.parametrize("comments", [True, False])
def test_toml_round_trip(config: StudyConfig, comments: bool, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(config.to_toml(comments=comments), encoding="utf-8")
    assert StudyConfig.from_toml(path) == config


def test_every_default_is_commented() -> None:
    text = StudyConfig().to_toml(comments=True)
    keys = tomllib.loads(text)
    lines = text.splitlines()
    for key in keys:
        line = next(i for i, text in enumerate(lines) if text.startswith((f"{key} =", f"[{key}]")))
        assert lines[line - 1].startswith("# ")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"windows_s": 5}, ["windows_s", "Did you mean 'window_s'"]),
        ({"window_s": "long"}, ["window_s", "'long'", "number"]),
        ({"window_s": True}, ["window_s", "True", "number"]),
        ({"window_s": -1}, ["window_s", "-1", "0.1 to 3600"]),
        ({"min_windows": 2.5}, ["min_windows", "2.5", "whole number"]),
        ({"bands": {"alpha": [8000, 9000]}}, ["bands.alpha", "8000", "passband"]),
        ({"bands": {"alpha": [12, 8]}}, ["bands.alpha", "low < high"]),
        ({"bands": {"../x": [8, 12]}}, ["bands", "../x", "letters"]),
        ({"metrics": "plv"}, ["metrics", "list"]),
        ({"metrics": {"meg": ["plv"]}}, ["metrics", "meg", "eeg, fnirs"]),
        ({"metrics": []}, ["metrics", "at least one"]),
        ({"primary": {"metric": "plv", "band": "alhpa", "roi": "all"}}, ["alhpa", "Did you mean 'alpha'"]),
        ({"primary": {"metric": "plv"}}, ["primary", "band", "roi"]),
        ({"primary": {"metric": "plv", "band": "alpha", "rio": "all"}}, ["rio", "Did you mean 'roi'"]),
        ({"roi_pairs": "some"}, ["roi_pairs", "'some'", "matching"]),
        ({"time": "month"}, ["time", "month", "weeks"]),
        ({"fnirs_tddr": 1}, ["fnirs_tddr", "true or false"]),
    ],
)
def test_unusable_values_say_what_where_and_what_is_allowed(values: dict, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        StudyConfig.from_mapping(values, source="study.toml")
    text = str(caught.value)
    assert text.startswith("study.toml: ")
    assert text.count("\n") <= 2
    for word in words:
        assert word in text


NUMBERS = [item for item in fields(StudyConfig) if item.type.startswith(("int", "float"))]


@pytest.mark.parametrize("item", NUMBERS, ids=lambda item: item.name)
def test_every_number_has_bounds_that_hold(item: Field) -> None:
    low, high = item.metadata["bounds"]
    for value in (low, high):
        assert getattr(StudyConfig(**{item.name: value}), item.name) == value
    whole = isinstance(item.default, int)
    wrong = [low - 1, high + 1, float("nan"), True, "much", None, *([low + 0.5] if whole else [])]
    for value in wrong:
        with pytest.raises(ConfigError, match=f"^{item.name} = "):
            StudyConfig(**{item.name: value})


def test_age_is_a_value_of_one_setting_alone() -> None:
    assert StudyConfig(fnirs_ppf="age").fnirs_ppf == "age"
    for item in NUMBERS:
        if item.name != "fnirs_ppf":
            with pytest.raises(ConfigError, match=f"^{item.name} = 'age': expected"):
                StudyConfig(**{item.name: "age"})


def test_a_primary_names_its_regions_in_one_spelling() -> None:
    one, two = (StudyConfig(primary={"metric": "plv", "band": "alpha", "roi": roi}) for roi in ("all", "all-all"))
    assert one == two
    assert (one.primary.rois.therapist, one.primary.rois.client, one.primary.roi) == ("all", "all", "all-all")


HUGE = b"0x" + b"f" * 5000


@pytest.mark.parametrize(
    "content",
    [b"window_s = ", b"\xff\xfe", b"[[[[", b"n_null = " + b"9" * 5000, b"n_null = " + b"9" * 400, b"window_s = " + HUGE,
     b"outcomes = [" + HUGE + b"]", b"primary = {roi = " + HUGE + b"}", b"x = [[" + HUGE + b"]]"],
    ids=range(9),
)  # fmt: skip
def test_broken_toml_names_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"study\.toml: not valid TOML") as caught:
        StudyConfig.from_toml(path)
    assert len(str(caught.value)) < 240


def test_missing_toml_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read"):
        StudyConfig.from_toml(tmp_path / "nothing.toml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*StudyConfig().to_dict(), "primary", "x"]), VALUES, max_size=4))
def test_no_mapping_breaks_it(values: dict) -> None:
    try:
        config = StudyConfig.from_mapping(values)
    except ConfigError:
        return
    assert StudyConfig.from_mapping(tomllib.loads(config.to_toml())) == config


def test_a_primary_outcome_of_one_region_is_that_of_both_people() -> None:
    written = {"metric": "plv", "band": "alpha", "roi": "posterior"}
    both = StudyConfig(primary=written), StudyConfig(primary=Primary(**written))
    assert {config.primary.roi for config in both if config.primary} == {"posterior-posterior"}
