"""The guard around readers: no traceback, no memory filled, warnings in our words."""

from __future__ import annotations

import ast
import builtins
import errno
import io
import os
import re
import warnings
from pathlib import Path

import h5py
import mne
import numpy as np
import pytest

import recording_fixtures as make
from format_fixtures import EXAMPLES
from hyperscan import errors
from hyperscan.errors import HyperscanError, MachineError, ReadError
from hyperscan.recording.guard import check_memory, guarded, public_text
from hyperscan.recording.read import read_person


def test_header_that_claims_more_than_memory(good: Path) -> None:
    make.write_edf(good / "t.edf", 1)
    content = bytearray((good / "t.edf").read_bytes())
    content[236:244] = b"99999999"
    content[244:252] = b"1       "
    (good / "t.edf").write_bytes(content)
    make.refused(good, "t.edf", "c-raw.fif")
    with h5py.File(good / "t.snirf", "w") as file:
        file["formatVersion"] = "1.1"
        make.snirf_group(file.create_group("nirs"), 1)
        del file["nirs/data1/dataTimeSeries"]
        file["nirs/data1"].create_dataset("dataTimeSeries", (10**12, 6), "f8", chunks=(1000, 6))
    make.refused(good, "t.snirf", "c.snirf", "memory", modality="fnirs")


@pytest.mark.parametrize("file", ["t-raw.fif", "t.bdf", "t.vhdr", "t.set", "t.snirf", "t.nirs", "t.xdf"])
def test_damaged_bytes_never_end_in_a_traceback(good: Path, file: str) -> None:
    writers = {
        "t-raw.fif": make.write_fif,
        "t.bdf": make.write_edf,
        "t.vhdr": make.write_brainvision,
        "t.set": make.write_set,
        "t.snirf": make.write_snirf,
        "t.nirs": make.write_nirs,
        "t.xdf": lambda path, _: make.two_streams(path),
    }
    writers[file](good / file, 1)
    content = (good / file).read_bytes()
    modality, partner = ("fnirs", "c.snirf") if file in ("t.snirf", "t.nirs") else ("eeg", "c-raw.fif")
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(25):
            flipped = bytearray(content)
            flipped[int(rng.integers(4, min(len(content), 3000)))] ^= 1 << int(rng.integers(8))
            (good / file).write_bytes(flipped)
            try:
                make.load(good, file, partner, modality, therapist_channels="stream:A" if file == "t.xdf" else None)
            except HyperscanError as said:
                make.check_message(str(said), good, file)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("JaneDoe"), ("cannot be read as EDF (ValueError)", "Copy it again")),
        (MemoryError(), ("does not fit into memory", "export it in parts")),
        (ImportError("no", name="mffpy"), ("needs the Python package 'mffpy'", "Install it")),
        (RuntimeError("For x to work, the module antio is needed, but"), ("needs the Python package 'antio'",)),
    ],
)
def test_any_exception_of_a_reader_becomes_one_of_ours(
    tmp_path: Path, error: Exception, words: tuple[str, ...]
) -> None:
    with pytest.raises(ReadError) as caught, guarded("t.edf", "EDF"):
        raise error
    make.check_message(caught.value, tmp_path, "t.edf", *words)


@pytest.mark.parametrize(
    ("category", "text", "notes", "weak"),
    [
        (RuntimeWarning, "Number of records from the header does not match JaneDoe", 1, 1),
        (RuntimeWarning, "The data contains boundary events", 1, 0),
        (RuntimeWarning, "subject JaneDoe has no birthday", 0, 0),
        (RuntimeWarning, "something new about JaneDoe", 1, 1),
        (RuntimeWarning, "data that cannot be handled", 1, 1),
        (RuntimeWarning, "JaneDoe", 1, 1),
        (DeprecationWarning, "this function goes", 0, 0),
    ],
)
def test_a_warning_is_told_in_our_words(category: type[Warning], text: str, notes: int, weak: int) -> None:
    with guarded("t.edf", "EDF") as heard:
        warnings.warn(text, category, stacklevel=1)
        warnings.warn(text, category, stacklevel=1)
    assert (len(heard.notes), len(heard.weak)) == (notes, weak)
    assert make.CANARY not in " ".join(heard.notes)


@pytest.mark.parametrize("n_values", [10**15, -1])
def test_what_cannot_be_held_is_refused_before_it_is_asked_for(tmp_path: Path, n_values: int) -> None:
    check_memory(1000, "t.edf")
    with pytest.raises(ReadError) as caught:
        check_memory(n_values, "t.edf")
    make.check_message(caught.value, tmp_path, "t.edf", "GB of samples", "check the file")


# ---- no warning of an installed reader loses its content


def reader_modules() -> list[Path]:
    """List the source files of the readers that the table of formats uses."""
    root = Path(mne.__file__).parent
    names = ("antio", "array", "base", "boxy", "brainvision", "cnt", "curry", "edf", "eeglab", "egi", "eximia", "fiff")
    names += ("hitachi", "nicolet", "nihon", "nirx", "persyst", "snirf")
    found = [path for name in names for path in sorted((root / "io").glob(f"{name}*/*.py"))]
    return [*found, root / "io" / "base.py", root / "annotations.py"]


def texts_of_warnings() -> list[str]:
    """List what readers warn of, with a person's name wherever a header's content would be put in."""
    found = []
    for path in reader_modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if called != "warn" or not node.args:
                continue
            parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else make.CANARY for part in parts)
            if text != make.CANARY:
                found.append(text)
    return found


#: Begins of warnings that say nothing of the data: whose head it was, names of files, how to call a function.
OF_NO_CONCERN = (
    "Invalid patient",
    "A single dat file",
    "Loading an EDF with mixed",
    "Using `stim_channel",
    "Found PNT",
    "Found LOG",
)


@pytest.mark.parametrize("text", sorted(set(texts_of_warnings())))
def test_no_warning_of_a_reader_is_emptied(text: str) -> None:
    with guarded("t.edf", "EDF") as heard:
        warnings.warn(text, RuntimeWarning, stacklevel=1)
    said = " ".join(heard.notes)
    assert make.CANARY not in said
    assert "warned of something" not in said
    if not text.startswith(OF_NO_CONCERN):
        assert len(re.sub("the reader warned: |[. ]", "", said)) > 12, text


def test_there_are_warnings_to_look_at() -> None:
    assert len(texts_of_warnings()) > 40


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("Channel 'Jane Doe' has no samples", "Channel ... has no samples", ("Jane", "Doe")),
        ("file /home/jane/doe.edf is truncated", "file ... is truncated", ("jane", "doe")),
        ("recorded 1990-01-02 at 10:11:12 with 64 channels", "64 channels", ("1990", "10:11")),
        ("Doe, Jane: number 123456789 is not unique", "is not unique", ("Doe", "Jane", "123456789")),
        ("jane_doe@clinic.org cannot be read", "cannot be read", ("jane", "doe", "clinic")),
    ],
)
def test_a_text_of_a_reader_shows_nothing_of_a_person(text: str, kept: str, gone: tuple[str, ...]) -> None:
    said = public_text(text)
    assert kept in said
    assert not [word for word in gone if word in said]


def test_an_error_is_told_in_the_readers_words() -> None:
    with pytest.raises(ReadError, match=r"ValueError: channel names \.\.\. number of samples"), guarded("t.edf", "EDF"):
        raise ValueError("channel names JaneDoe number of samples")
    words = r"not supported: EDF of this form \(NotImplementedError: channels in rows\)"
    with pytest.raises(ReadError, match=words), guarded("t.edf", "EDF"):
        raise NotImplementedError("channels in rows")


@pytest.mark.parametrize(("n_values", "kind"), [(-1, ReadError), (10**11, MachineError), (10**15, ReadError)])
def test_a_size_that_no_machine_holds_is_damage_and_any_other_one_a_matter_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, n_values: int, kind: type[ReadError]
) -> None:
    monkeypatch.setattr("hyperscan.recording.guard._available_bytes", lambda: 10**9)
    with pytest.raises(ReadError, match="header announces") as caught:
        check_memory(n_values, "t.edf")
    assert type(caught.value) is kind


MACHINE = sorted(errors._BY_NUMBER)


@pytest.mark.parametrize("number", MACHINE)
def test_a_fault_of_the_machine_is_called_that(number: int) -> None:
    def by_system() -> None:
        raise OSError(number, os.strerror(number))

    def by_reader() -> None:
        try:
            by_system()
        except OSError as error:
            raise ValueError("this file is broken") from error

    def by_hdf5() -> None:
        raise OSError(f"Unable to open file (file read failed: errno = {number}, error message = 'x')")

    for read in (by_system, by_reader, by_hdf5):
        with pytest.raises(MachineError, match="could not be read, because") as caught, guarded("t.snirf", "SNIRF"):
            read()
        assert "damaged" not in str(caught.value)
        assert "Copy it again" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EINVAL, errno.EISDIR])
def test_a_fault_of_the_file_is_called_that(number: int) -> None:
    with pytest.raises(ReadError, match="cannot be read as") as caught, guarded("t.edf", "EDF"):
        raise OSError(number, os.strerror(number))
    assert not isinstance(caught.value, MachineError)


def test_too_many_open_files_are_no_damage_of_any_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for number, example in enumerate(EXAMPLES.values()):
        if example.is_real or example.lacks:
            continue
        (tmp_path / str(number)).mkdir()
        path = example.write(tmp_path / str(number) / example.name, 1)
        with monkeypatch.context() as patch:
            patch.setattr(io, "open", refuse)  # what pathlib opens with
            patch.setattr(builtins, "open", refuse)
            with pytest.raises(MachineError, match="too many files are open"):
                read_person(path, None, modality=example.modality, name=path.name)
