"""The table of formats: each is told, read, refused when damaged, hashed whole, drafted and documented."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path

import pytest

import recording_fixtures as make
from format_fixtures import EXAMPLES, Example
from hyperscan.errors import ReadError
from hyperscan.pipeline.unit import input_hashes
from hyperscan.recording.files.bids import files_of
from hyperscan.recording.files.load import read_person
from hyperscan.study import draft_dyads
from hyperscan.study.formats import FORMATS, Format, recognise

BY_NAME = {form.name: form for form in FORMATS}
DOCS = Path(__file__).parents[1] / "docs"


def written(example: Example, folder: Path, request: pytest.FixtureRequest, seed: int = 1) -> Path:
    if example.is_real:
        request.getfixturevalue("shared")
    return example.write(folder / example.name, seed)


def test_every_format_has_one_entry_and_an_example() -> None:
    assert [form.name for form in FORMATS] == list(BY_NAME) == list(EXAMPLES)
    for form in FORMATS:
        assert form.suffixes == tuple(suffix.lower() for suffix in form.suffixes)
        assert form.matches or form.folder or not form.plain, form.name


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_reader_of_each_format_exists(form: Format) -> None:
    module, _, function = form.reader.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_format_is_told_and_read(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    example = EXAMPLES[name]
    path = written(example, tmp_path, request)
    assert recognise(path, path.name) is BY_NAME[name]
    if example.lacks:
        with pytest.raises(ReadError, match=example.lacks):
            read_person(path, None, modality=example.modality, name=path.name)
        return
    found = read_person(path, None, modality=example.modality, name=path.name)
    assert found.data.get_data().std() > 0
    assert make.CANARY not in repr(found.notes)
    told_by_name = BY_NAME[name].modality
    assert told_by_name in ("", example.modality)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_format_is_refused_where_it_is_damaged(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    example = EXAMPLES[name]
    path = written(example, tmp_path, request)
    example.damage(path)
    with pytest.raises(ReadError) as caught:
        read_person(path, None, modality=example.modality, name=path.name)
    make.check_message(caught.value, tmp_path, path.name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_file_of_a_recording_counts_in_its_hash(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    path = written(EXAMPLES[name], tmp_path, request)
    make.write_edf(tmp_path / "other.edf", 2)
    row = make.session(tmp_path, path.name, "other.edf")
    before = input_hashes([row])
    own = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "other.edf"]
    assert len(own) == 1 or path.is_dir() or set(files_of(path)) == set(own)
    for file in own:
        content = file.read_bytes()
        file.write_bytes(content + b" ")
        assert input_hashes([row]) != before, file.name
        file.write_bytes(content)
    assert input_hashes([row]) == before


def test_files_of_another_recording_do_not_count(tmp_path: Path) -> None:
    make.write_edf(tmp_path / "t.edf", 1)
    make.write_brainvision(tmp_path / "t.vhdr", 2)
    assert files_of(tmp_path / "t.edf") == [tmp_path / "t.edf"]
    assert files_of(tmp_path / "t.vhdr") == [tmp_path / f"t{ending}" for ending in (".vhdr", ".eeg", ".vmrk")]


ENDINGS = [(form.name, suffix) for form in FORMATS for suffix in form.suffixes]


@pytest.mark.parametrize(("name", "suffix"), ENDINGS, ids=["-".join(each) for each in ENDINGS])
def test_a_draft_finds_every_ending(tmp_path: Path, name: str, suffix: str) -> None:
    for role in ("therapist", "client"):
        path = tmp_path / "dyad-01" / "ses-1" / f"{role}{suffix}"
        if BY_NAME[name].folder:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    (row,) = draft_dyads(tmp_path).rows.to_dict("records")
    assert row["therapist_file"] == f"dyad-01/ses-1/therapist{suffix}"
    assert row["modality"] == BY_NAME[name].modality


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_each_format_is_documented(form: Format) -> None:
    text = (DOCS / "layouts.md").read_text(encoding="utf-8")
    named = [form.name, *(f"`{suffix}`" for suffix in form.suffixes if form.plain)]
    assert any(word in text for word in named), form.name


def test_no_two_formats_claim_one_content(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A wrong name is told from the content alone, so contents must not overlap, but in a shared container."""
    for name, example in EXAMPLES.items():
        folder = tmp_path / name
        folder.mkdir()
        path = written(example, folder, request)
        head = b"" if path.is_dir() else path.read_bytes()[:4096]
        fitting = [form for form in FORMATS if form.matches and not form.loose and form.matches(head)]
        for a, b in itertools.pairwise(fitting):
            assert a.content_name == b.content_name, (a.name, b.name)


def test_a_folder_without_light_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for name in ("x_config.hdr", "x.snirf"):
        (tmp_path / "t" / name).write_bytes(b"x")
    with pytest.raises(ReadError) as caught:
        recognise(tmp_path / "t", "t")
    make.check_message(caught.value, tmp_path, "t", "folder without a recording")
