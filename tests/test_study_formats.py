"""The table of formats: each is told, read, refused when damaged, hashed whole, drafted and documented."""

from __future__ import annotations

import importlib
import itertools
import pickle
import shutil
from pathlib import Path

import pytest

import recording_fixtures as make
from format_fixtures import EXAMPLES, Example
from hyperscan.errors import ReadError
from hyperscan.pipeline.unit import input_hashes
from hyperscan.recording.files.bids import files_of
from hyperscan.recording.read import read_person
from hyperscan.study import draft_dyads
from hyperscan.study.formats import FORMATS, Format, recognise

BY_NAME = {form.name: form for form in FORMATS}
DOCS = Path(__file__).parents[1] / "docs"


def written(example: Example, folder: Path, request: pytest.FixtureRequest, seed: int = 1) -> Path:
    if example.is_real:
        request.getfixturevalue("shared")
    return example.write(folder / example.name, seed)


def test_every_format_has_one_entry_and_an_example() -> None:
    assert sorted(form.name for form in FORMATS) == sorted(BY_NAME) == sorted(EXAMPLES)
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


# ---- what is no recording, or not what its name says


WRITERS = {
    "t-raw.fif": make.write_fif,
    "t.edf": make.write_edf,
    "t.bdf": make.write_edf,
    "t.vhdr": make.write_brainvision,
    "t.set": make.write_set,
}


@pytest.mark.parametrize(
    "suffix",
    [".fif", ".edf", ".bdf", ".vhdr", ".set", ".gdf", ".cnt", ".xdf", ".snirf", ".nirs", ".mat", ".csv"],
)
def test_empty_file(good: Path, suffix: str) -> None:
    (good / f"t{suffix}").write_bytes(b"")
    make.refused(good, f"t{suffix}", "c-raw.fif", "empty (0 bytes)")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n", "not downloaded"),
        (b"/annex/objects/MD5E-s12--aa.edf\n", "not downloaded"),
        (b"<!DOCTYPE html><html><body>404 JaneDoe</body></html>", "web page"),
        (pickle.dumps({"a": 1}), "pickle"),
        (b"PK\3\4aaaa", "archive"),
        (b"\x1f\x8b\x08aaaa", "archive"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (b"garbage" * 200, "first bytes"),
    ],
)
def test_impostors(good: Path, content: bytes, word: str) -> None:
    (good / "t.edf").write_bytes(content)
    make.refused(good, "t.edf", "c-raw.fif", word)


def test_missing_file_and_dangling_link(good: Path) -> None:
    make.refused(good, "gone.edf", "c-raw.fif", "not there")
    (good / "t.edf").symlink_to(good / ".git" / "annex" / "objects" / "aa")
    make.refused(good, "t.edf", "c-raw.fif", "not downloaded")


def test_wrong_extension(good: Path) -> None:
    make.write_edf(good / "t.bdf", 1)
    shutil.copy(good / "t.bdf", good / "u.edf")
    make.refused(good, "u.edf", "c-raw.fif", "'.edf'", "BDF", ".bdf")
    shutil.copy(good / "c-raw.fif", good / "x.edf")
    make.refused(good, "x.edf", "c.snirf", "FIF")


def test_parts_of_recordings_are_pointed_to_their_header(good: Path) -> None:
    make.write_brainvision(good / "t.vhdr", 1)
    make.write_set(good / "s.set", 1, fdt=True)
    make.refused(good, "t.eeg", "c-raw.fif", ".vhdr")
    make.refused(good, "t.vmrk", "c-raw.fif", ".vhdr")
    make.refused(good, "s.fdt", "c-raw.fif", ".set")


def test_folder_that_is_no_recording(good: Path) -> None:
    (good / "t").mkdir()
    make.refused(good, "t", "c-raw.fif", "folder without a recording")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("file", [*WRITERS, "t.snirf", "t.nirs"])
def test_truncated_files_are_never_read_in_silence(good: Path, file: str, share: float) -> None:
    writer = {**WRITERS, "t.snirf": make.write_snirf, "t.nirs": make.write_nirs}[file]
    writer(good / file, 2)
    cut = good / file if file != "t.vhdr" else good / "t.eeg"
    content = cut.read_bytes()
    n = int(len(content) * share)
    # not at the end of a frame, and at one
    for size in (n - n % 16, n - n % 16 + 3):
        cut.write_bytes(content[:size])
        if file == "t.vhdr":
            (good / "t.vmrk").write_text((good / "t.vmrk").read_text().replace(",500,", ",1999,"))
        modality, partner = ("fnirs", "c.snirf") if file in ("t.snirf", "t.nirs") else ("eeg", "c-raw.fif")
        with pytest.raises(ReadError) as caught:
            make.load(good, file, partner, modality)
        make.check_message(caught.value, good, file)
