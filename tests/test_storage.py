"""Writing: whole or not at all, and the same bytes every time."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hyperscan import storage
from hyperscan.errors import OutputWriteError, TableError

FRAME = pd.DataFrame({"dyad": ["D01", "02"], "task": ["", "talk"], "z": [0.1 + 0.2, np.nan], "n": [1, 2]})


def test_table_comes_back(tmp_path: Path) -> None:
    path = storage.write_table(tmp_path / "t.tsv", FRAME)
    assert path.read_text() == "dyad\ttask\tz\tn\nD01\t\t0.3\t1\n02\ttalk\tn/a\t2\n"
    back = storage.load_table(path)
    pd.testing.assert_frame_equal(back, FRAME.assign(z=[0.3, np.nan]))


@pytest.mark.parametrize(
    ("name", "data", "fact"),
    [
        ("t.csv", b"dyad;session;z\n1;1;0,2\n", "separated by something else"),
        ("t.tsv", b"dyad,session,z\n1,1,0.2\n", "separated by something else"),
        ("t.csv", "dyad,z\nMüller,1\n".encode("latin-1"), "not UTF-8"),
        ("t.csv", b"", "is not a table"),
        ("t.tsv", b"x" * 200_000, "is not a table"),
        ("t.tsv", b"dyad\tz\tz\n1\t1\t2\n", "names 'z' more than once"),
        ("t.csv", None, "no such table"),
    ],
)
def test_a_table_from_elsewhere_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, data: bytes | None, fact: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(TableError, match=fact) as caught:
        storage.load_table(tmp_path / name)
    assert str(caught.value).startswith(f"{name}: ")


def test_json_has_no_nan_and_ten_digits() -> None:
    text = storage.to_json({"a": np.float64(1 / 3), "b": [np.inf, np.int64(3)], "c": np.bool_(True)})
    assert text == '{\n  "a": 0.3333333333,\n  "b": [\n    null,\n    3\n  ],\n  "c": true\n}\n'


def test_dataset_is_written_with_the_same_bytes(tmp_path: Path) -> None:
    data = xr.Dataset({"x": ("time", np.arange(100.0))}, coords={"name": ("time", ["a"] * 100)}, attrs={"k": "v"})
    first, second = (storage.write_dataset(tmp_path / f"{i}.nc", data) for i in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    xr.testing.assert_identical(xr.load_dataset(first), data)


def test_arrays_are_written_with_the_same_bytes_and_never_pickled(tmp_path: Path) -> None:
    first, second = (storage.write_arrays(tmp_path / f"{i}.npz", {"x": np.arange(9.0)}) for i in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.write_arrays(tmp_path / "3.npz", {"x": np.array([object()])})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.npz", "2.npz"]


@pytest.mark.parametrize("fail_at", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: str, number: int
) -> None:
    path = storage.write_text(tmp_path / "a.txt", "old")

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync") if fail_at == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OutputWriteError, match=r"a\.txt: ") as caught:
        storage.write_text(path, "new")
    assert caught.value.exit_code == 6
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "unit"
    with storage.new_folder(final) as folder:
        (folder / "a").write_text("1")
        assert not final.exists()
    assert [p.name for p in final.iterdir()] == ["a"]
    with pytest.raises(FileNotFoundError):  # noqa: PT012, SIM117
        with storage.new_folder(final) as folder:
            (folder / "b").write_text("2")
            (folder / "missing").read_text()
    assert [p.name for p in final.iterdir()] == ["a"]
    with storage.new_folder(final) as folder:
        (folder / "c").write_text("3")
    assert [p.name for p in final.iterdir()] == ["c"]
    assert [p.name for p in tmp_path.iterdir()] == ["unit"]


def test_sweep_removes_partials_only(tmp_path: Path) -> None:
    (tmp_path / "keep.tsv").write_text("x")
    (tmp_path / f"{storage.PARTIAL_PREFIX}0123456789ab.tsv").write_text("x")
    (tmp_path / f"{storage.PARTIAL_PREFIX}notes.txt").write_text("of a user")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / f"{storage.PARTIAL_PREFIX}0123456789ac").symlink_to(tmp_path / "theirs")
    (tmp_path / "deep" / f"{storage.PARTIAL_PREFIX}0123456789ad").mkdir(parents=True)
    (tmp_path / "deep" / f"{storage.PARTIAL_PREFIX}0123456789ad" / "y").write_text("x")
    storage.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".partial-notes.txt", "deep", "keep.tsv", "theirs"]


def test_folder_hash_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = storage.sha256(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = storage.sha256(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, storage.sha256(tmp_path)}) == 3


def test_what_may_not_land_leaves_nothing(tmp_path: Path) -> None:
    """A worker whose run has ended: its folder was swept, and it does not make another one."""
    swept = tmp_path / ".partial-0123456789ab"
    with storage.landing_if(lambda: contextlib.nullcontext(False)):
        for write in (
            lambda: storage.write_text(tmp_path / "a.txt", "a"),
            lambda: storage.write_table(swept / "t.tsv", FRAME),
            lambda: storage.write_arrays(swept / "x.npz", {"x": np.ones(3)}),
        ):
            with pytest.raises(OutputWriteError, match="its run has ended"):
                write()
        with pytest.raises(OutputWriteError, match="its run has ended"), storage.new_folder(tmp_path / "unit"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_one_folder_the_later_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final, real, made = tmp_path / "unit", Path.replace, []

    def replaced(path: Path, target: Path) -> Path:
        if target == final and not made:  # another process is faster by a moment
            made.append(final.mkdir())
            (final / "theirs").touch()
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    with storage.new_folder(final) as folder:
        (folder / "mine").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["unit", "unit/mine"]
