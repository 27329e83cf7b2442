from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperscan.errors import InputError
from hyperscan.study import Selector, disjoint, parse_selector

EEG = ["T_Fz", "T_Cz", "C_Fz", "C_Cz", "STI"]
NIRS = ["S1_D1 760", "S1_D1 850", "S8_D2 hbo", "S9_D1 760", "S10_D1 850", "S19_D3 hbr"]


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("1-4", Selector("positions", ((1, 4),))),
        ("3", Selector("positions", ((3, 3),))),
        ("1-2, 5-6", Selector("positions", ((1, 2), (5, 6)))),
        ("5-6,1-2,2", Selector("positions", ((1, 2), (5, 6)))),
        (" prefix:T_ ", Selector("prefix", text="T_")),
        ("prefix:a:b", Selector("prefix", text="a:b")),
        ("suffix:-0", Selector("suffix", text="-0")),
        ("sources:1-2", Selector("sources", ((1, 2),))),
        ("stream:Live Amp 1", Selector("stream", text="Live Amp 1")),
        ("/nirs", Selector("group", text="/nirs")),
        ("/nirs2", Selector("group", text="/nirs2")),
    ],
)
def test_every_form_is_read_and_written_back(text, selector):
    assert parse_selector(text) == selector
    assert parse_selector(str(selector)) == selector


@pytest.mark.parametrize(
    "text",
    ["", "0", "0-3", "3-1", "-3", "1-", "1--2", "a-b", "1.5", "1,,2", "1-9999999", "prefix:", "suffix:",
     "stream:", "sources:", "sources:a", "prefix:\x00",
     "prefx:T", "Prefix:T", "nirs1", "/nirs1/data", "/nirs12345", "/",
     "/../x", "stream:a\nb", "٣"],
)  # fmt: skip
def test_other_text_is_refused_with_the_allowed_forms(text):
    with pytest.raises(InputError) as caught:
        parse_selector(text)
    message = str(caught.value)
    assert "prefix:T_" in message or "/nirs1" in message
    assert len(message.splitlines()) == 1


def test_a_misspelt_kind_is_recognised():
    with pytest.raises(InputError, match=r"Did you mean 'prefix'\?"):
        parse_selector("prefx:T_")


@pytest.mark.parametrize(
    ("text", "names", "picked"),
    [
        ("2-3", EEG, ["T_Cz", "C_Fz"]),
        ("1,5", EEG, ["T_Fz", "STI"]),
        ("prefix:T_", EEG, ["T_Fz", "T_Cz"]),
        ("suffix:_Cz", EEG, ["T_Cz", "C_Cz"]),
        ("sources:1-8", NIRS, NIRS[:3]),
        ("sources:1", NIRS, NIRS[:2]),
        ("sources:9-16", NIRS, NIRS[3:5]),
    ],
)
def test_pick(text, names, picked):
    assert parse_selector(text).pick(names) == picked


@pytest.mark.parametrize(
    ("text", "names", "match"),
    [
        ("4-6", EEG, "asks for position 6, but the file has 5 channels"),
        ("prefix:X", EEG, "fits none of the 5 channels"),
        ("suffix:-0", EEG, "fits none"),
        ("sources:1", EEG, "fits none"),
        ("sources:30", NIRS, "fits none"),
        ("stream:A", EEG, "names a stream, not channels"),
        ("/nirs1", NIRS, "names a group, not channels"),
        ("prefix:T", [], "none of the 0 channels"),
    ],
)
def test_pick_never_returns_nothing(text, names, match):
    with pytest.raises(InputError, match=match):
        parse_selector(text).pick(names)


def test_messages_show_no_channel_name():
    with pytest.raises(InputError) as caught:
        parse_selector("prefix:X").pick(["Jane Doe EOG"])
    assert "Doe" not in str(caught.value)


def test_a_sign_in_other_capitals_is_named():
    with pytest.raises(InputError, match="Written 'prefix:t_' it fits 2"):
        parse_selector("prefix:T_").pick(["t_Fz", "t_Cz", "c_Fz", "c_Cz"])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("1-32", "33-64", True),
        ("1-16,33-48", "17-32,49-64", True),
        ("1-32", "32-64", False),
        ("prefix:T_", "prefix:C_", True),
        ("prefix:T", "prefix:T_", False),
        ("prefix:T_", "prefix:T", False),
        ("suffix:-0", "suffix:-1", True),
        ("suffix:0", "suffix:-0", False),
        ("sources:1-8", "sources:9-16", True),
        ("sources:1-8", "sources:8-16", False),
        ("stream:A", "stream:B", True),
        ("stream:A", "stream:A", False),
        ("/nirs1", "/nirs2", True),
        ("/nirs", "/nirs2", True),
        ("/nirs1", "/nirs1", False),
        ("1-32", "prefix:C_", False),
        ("prefix:T_", "suffix:-1", False),
        ("/nirs1", "sources:9-16", False),
    ],
)
def test_disjoint_without_names(a, b, expected):
    assert disjoint(parse_selector(a), parse_selector(b)) is expected
    assert disjoint(parse_selector(b), parse_selector(a)) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("1-2", "prefix:C_", True), ("1-3", "prefix:C_", False), ("prefix:T", "prefix:T_", False),
     ("prefix:T_", "suffix:Cz", False), ("stream:A", "stream:B", True)],
)  # fmt: skip
def test_disjoint_with_names(a, b, expected):
    assert disjoint(parse_selector(a), parse_selector(b), EEG) is expected


@pytest.mark.parametrize(
    ("text", "name", "bare"),
    [("prefix:T_", "T_Fz", "Fz"), ("suffix:-0", "Fz-0", "Fz"), ("1-3", "Fz", "Fz"), ("prefix:T", "T", "T"),
     ("prefix:1-", "C_Fz", "C_Fz")],
)  # fmt: skip
def test_strip(text, name, bare):
    assert parse_selector(text).strip(name) == bare


@given(st.sets(st.integers(1, 200), min_size=1))
@settings(max_examples=50, deadline=None)
def test_any_set_of_positions_survives_writing(numbers):
    selector = parse_selector(",".join(map(str, sorted(numbers, key=str))))
    assert parse_selector(str(selector)) == selector
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(selector.runs))
    assert selector.pick([str(i) for i in range(1, 201)]) == [str(i) for i in sorted(numbers)]


@given(st.sets(st.integers(1, 30), min_size=1), st.sets(st.integers(1, 30), min_size=1))
@settings(max_examples=100, deadline=None)
def test_two_sets_of_positions_are_apart_as_sets_are(one, two):
    a, b = (parse_selector(",".join(map(str, numbers))) for numbers in (one, two))
    assert disjoint(a, b) == (not one & two)


def test_a_long_rule_takes_little_memory_and_time():
    ranges = [f"1-{65_000 - number}" for number in range(500)]  # 32 million numbers
    odd, even = (",".join(map(str, range(first, 40_000, 2))) for first in (1, 2))
    started = time.process_time()
    assert all(str(parse_selector(text)) == text for text in ranges)
    assert disjoint(parse_selector(odd), parse_selector(even))
    assert time.process_time() - started < 2


@given(st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_text_gives_a_selector_or_an_input_error(text):
    try:
        selector = parse_selector(text)
    except InputError:
        return
    assert parse_selector(str(selector)) == selector
