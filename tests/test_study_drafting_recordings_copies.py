"""A recording that lies in a folder twice is nobody's partner; a damaged one is named, and its row is drafted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hyperscan.errors import ReadError
from hyperscan.study import Draft, draft_dyads
from hyperscan.study.drafting.recordings import is_marked
from study_fixtures import asks, bids, cells, touch

TWO = ["T_Fz", "T_Cz", "C_Fz", "C_Cz"]


def copied(root: Path, copy: str, original: str) -> None:
    (root / copy).parent.mkdir(parents=True, exist_ok=True)
    (root / copy).write_bytes((root / original).read_bytes())


def drafted(root: Path, names: Sequence[str] = TWO) -> Draft:
    return draft_dyads(root, peek=lambda _: names)


@pytest.mark.parametrize(
    "copy",
    ["rec (1).edf", "rec (2).edf", "rec - Copy.edf", "rec - Kopie (2).edf", "Copy of rec.edf", "Kopie von rec.edf",
     "rec_copie.edf", "rec.backup.edf", "rec copy 2.edf", "other.edf", "z.edf", "a.edf"],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["dyad-3/ses-2", "Paar07_Sitzung1"])
def test_a_copy_of_a_file_of_two_people_is_no_pair(tmp_path: Path, folder: str, copy: str) -> None:
    touch(tmp_path, f"{folder}/rec.edf", "dyad-9/ses-1/rec.edf")
    copied(tmp_path, f"{folder}/{copy}", f"{folder}/rec.edf")
    draft = drafted(tmp_path)
    (row,) = [row for row in draft.rows.to_dict("records") if folder in row["therapist_file"]]
    assert row["therapist_file"] == row["client_file"]
    assert (row["therapist_channels"], row["client_channels"]) == ("prefix:T_", "prefix:C_")
    left = {f"{folder}/{copy}", f"{folder}/rec.edf"} - {row["client_file"]}
    (doubt,) = draft.doubts
    assert doubt.startswith(f"{left.pop()} has the same bytes as {row['client_file']}, so it is left out")
    assert f"look at     {doubt}" in str(draft)
    assert not any("two files" in note for note in draft.notes)


def test_a_copy_of_one_persons_file_leaves_the_pair(tmp_path: Path) -> None:
    touch(tmp_path, "dyad-1/ses-1/T.edf", "dyad-1/ses-1/C.edf")
    copied(tmp_path, "dyad-1/ses-1/C (1).edf", "dyad-1/ses-1/C.edf")
    draft = drafted(tmp_path)
    assert cells(draft, "therapist_file", "client_file") == [("dyad-1/ses-1/T.edf", "dyad-1/ses-1/C.edf")]
    assert draft.doubts[0].startswith("dyad-1/ses-1/C (1).edf has the same bytes as dyad-1/ses-1/C.edf, so it is left")


def test_the_same_bytes_under_names_that_tell_who_are_kept_and_named(tmp_path: Path) -> None:
    """Names of roles, labels of people and other sessions: nothing says which of the two is wrong."""
    touch(tmp_path / "a", "dyad-1/ses-1/T.edf", *(f"dyad-1/ses-2/{who}.edf" for who in "TC"))
    copied(tmp_path / "a", "dyad-1/ses-1/C.edf", "dyad-1/ses-1/T.edf")
    bids(tmp_path / "b", *(f"sub-{i:02d}_ses-1_acq-dyad1_eeg.edf" for i in (1, 2)))
    copied(tmp_path / "b", *(f"sub-{i:02d}/ses-1/eeg/sub-{i:02d}_ses-1_acq-dyad1_eeg.edf" for i in (2, 1)))
    touch(tmp_path / "c", *(f"dyad-1/ses-{k}/rec.edf" for k in (1, 2, 3)))
    copied(tmp_path / "c", "dyad-1/ses-3/rec.edf", "dyad-1/ses-1/rec.edf")
    for name, n_rows in (("a", 2), ("b", 1), ("c", 3)):
        draft = drafted(tmp_path / name)
        assert len(draft.rows) == n_rows
        assert all(row["therapist_file"] and row["client_file"] for row in draft.rows.to_dict("records"))
        (doubt,) = draft.doubts
        assert "one recording under two names" in doubt


def test_files_of_one_name_and_other_bytes_are_no_copies(tmp_path: Path) -> None:
    touch(tmp_path, "dyad-1/ses-1/rec.edf", "dyad-1/ses-1/rec (1).edf")
    assert drafted(tmp_path).doubts == ()
    assert not is_marked("d/rec1.edf", "d/rec2.edf")


# ---- recordings that cannot be read


def damaged(*files: str, ways: dict[str, list[str]] | None = None) -> Callable[[Path], Sequence[str]]:
    """Look at channels, but not of some files; ``ways`` are those of some dyads."""

    def peek(path: Path) -> Sequence[str]:
        if any(path.as_posix().endswith(file) for file in files):
            raise ReadError(f"{path.name}: is cut off: it holds 60.0 of 90.0 s. Copy it again.")
        return next((names for dyad, names in (ways or {}).items() if dyad in path.as_posix()), TWO)

    return peek


def test_a_damaged_file_is_named_and_its_row_is_drafted_like_the_others(tmp_path: Path) -> None:
    touch(tmp_path, *(f"dyad-{d}/ses-{s}/both.bdf" for d in (1, 2) for s in (1, 2)))
    ways = {"dyad-2": ["1-Fz", "1-Cz", "2-Fz", "2-Cz"]}
    draft = draft_dyads(tmp_path, peek=damaged("dyad-2/ses-1/both.bdf", ways=ways))
    assert (
        cells(draft, "therapist_channels", "client_channels")
        == [("prefix:T_", "prefix:C_")] * 2 + [("prefix:1-", "prefix:2-")] * 2
    )
    assert all(row["client_file"] for row in draft.rows.to_dict("records"))
    (doubt,) = draft.doubts
    assert doubt.startswith("dyad-2/ses-1/both.bdf: is cut off: it holds 60.0 of 90.0 s. Copy it again. Its row is")


def test_a_damaged_file_takes_the_way_of_all_dyads_or_none(tmp_path: Path) -> None:
    touch(tmp_path, *(f"dyad-{d}/ses-1/both.bdf" for d in (1, 2, 3)))
    draft = draft_dyads(tmp_path, peek=damaged("dyad-3/ses-1/both.bdf"))
    assert cells(draft, "client_channels")[2] == ("prefix:C_",)
    ways = {"dyad-2": ["1-Fz", "1-Cz", "2-Fz", "2-Cz"]}
    draft = draft_dyads(tmp_path, peek=damaged("dyad-3/ses-1/both.bdf", ways=ways))
    assert cells(draft, "client_file", "client_channels")[2] == ("", "")
    asks(draft, "it cannot be read: dyad-3/ses-1/both.bdf")
    assert draft.doubts == ("dyad-3/ses-1/both.bdf: is cut off: it holds 60.0 of 90.0 s. Copy it again.",)


# ---- who is the therapist


def test_rows_of_unknown_roles_are_named(tmp_path: Path) -> None:
    touch(tmp_path, *(f"dyad-{d}/ses-{s}/both.bdf" for d in (1, 2) for s in (1, 2)))
    ways = {"dyad-2": ["x_Fz", "x_Cz", "y_Fz", "y_Cz"]}
    draft = draft_dyads(tmp_path, peek=damaged(ways=ways))
    asks(draft, "nothing tells who is the therapist in 2 of 4 rows (dyad-2/ses-1/both.bdf, dyad-2/ses-2/both.bdf)")
    asks(draft, "exchange the two channel rules where", "nothing tells the therapists apart")
    assert "exchange the two files" not in "".join(draft.questions)


def test_all_rows_of_unknown_roles_are_not_listed(tmp_path: Path) -> None:
    touch(tmp_path, "dyad-1/ses-1/a.edf", "dyad-1/ses-1/b.edf")
    asks(drafted(tmp_path), "nothing tells who is the therapist. Fill in both ids, and exchange the two files (and")
