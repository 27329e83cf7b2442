"""Where a run may write, and how its folder describes itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import hyperscan
from hyperscan.errors import (
    OutputError,
)
from hyperscan.pipeline.output import describe_output
from pipeline_fixtures import (
    run,
    tree,
)


@pytest.mark.parametrize("where", [".", "..", "results", "dyad-01", "derivatives/../new"])
def test_output_in_or_around_the_study_is_refused(my_study: Path, where: str) -> None:
    with pytest.raises(OutputError, match="would lie in the study"):
        run(my_study, my_study / where)


def test_output_under_derivatives_is_fine_and_links_are_followed(
    my_study: Path, tiny_run: Path, tmp_path: Path
) -> None:
    run(my_study, my_study / "derivatives" / "hyperscan")
    assert tree(my_study / "derivatives" / "hyperscan") == tree(tiny_run)
    (tmp_path / "link").symlink_to(my_study)
    with pytest.raises(OutputError, match="would lie in the study"):
        run(my_study, tmp_path / "link" / "x")


def test_a_folder_of_others_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="no folder of a run"):
        run(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(OutputError, match="is a file"):
        run(tiny, tmp_path / "holiday.jpg")
    (tmp_path / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(OutputError, match="no folder of a run"):
        run(tiny, tmp_path)


def test_the_output_describes_itself_as_a_bids_derivative(tmp_path: Path) -> None:
    # what BIDS 1.10 requires of a derivative (dataset description), and that its own file is in force
    describe_output(tmp_path)
    told = json.loads((tmp_path / "dataset_description.json").read_text())
    assert told["Name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["BIDSVersion"])
    assert told["DatasetType"] == "derivative"
    assert [told["GeneratedBy"][0][key] for key in ("Name", "Version")] == ["hyperscan-mne", hyperscan.__version__]
    assert all(entry["Name"] and entry["Version"] for entry in told["GeneratedBy"])
    ignored = (tmp_path / ".bidsignore").read_text().split()
    assert {"dyad-*", "*.html", "*.tsv"} <= set(ignored)
    assert (tmp_path / "README").stat().st_size > 150  # BIDS asks for a description, not a title
