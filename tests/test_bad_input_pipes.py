"""Nothing waits for ever: a pipe, a socket or a device in the place of any file is refused at once."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import recording_fixtures as make
from format_fixtures import EXAMPLES
from hyperscan import cli, plots
from hyperscan.errors import HyperscanError, InputError, ReadError
from hyperscan.pipeline.unit import input_hashes
from hyperscan.recording import channel_names
from hyperscan.recording.files.shared import read_shared_file
from hyperscan.recording.read import read_person
from hyperscan.report import figures
from hyperscan.storage import sha256
from hyperscan.study.formats import FORMATS, Format
from hyperscan.study.rows import SHARED_ENDINGS, Folders, read_path
from pipeline_fixtures import run

pytestmark = pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name may have 100 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


KINDS: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a socket": a_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    # a library that waits in C hears no signal, so the process ends, with a traceback
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def replace(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    KINDS[kind](path)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_every_file_of_every_format(tmp_path: Path, form: Format) -> None:
    example = EXAMPLES[form.name]
    if example.is_real:
        pytest.skip("a copy of a real recording")
    path = example.write(tmp_path / example.name, 1)
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    beside = [path.with_name(path.stem + ending) for ending in form.companions]
    for file in dict.fromkeys([*files, *beside]):
        whole = file.read_bytes() if file.is_file() else None
        for kind in KINDS:
            replace(file, kind)
            with pytest.raises(ReadError, match=kind):
                read_person(path, None, modality=example.modality, name=path.name)
            with pytest.raises(ReadError, match=kind):
                channel_names(path)
            file.unlink()
            if whole is not None:
                file.write_bytes(whole)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", SHARED_ENDINGS)
def test_a_shared_signal_and_its_sidecar(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"s{ending}"
    replace(path, kind)
    with pytest.raises(InputError, match=r"is a pipe|is a socket|leads out of the study folder"):
        read_path(path.name, Folders(tmp_path.resolve()))
    row = make.session(tmp_path, "t.edf", "c.edf", shared_file=path)
    with pytest.raises(ReadError, match=kind):
        read_shared_file(path, row)
    path.unlink()
    path.write_text("1\n2\n")
    replace(path.with_suffix(".json"), kind)
    with pytest.raises(ReadError, match=r"needs s\.json beside it"):
        read_shared_file(path, row)
    assert set(input_hashes([row]).values()) <= {"unreadable: No such file or directory", sha256(path)}


@pytest.mark.parametrize("ending", SHARED_ENDINGS)
def test_a_shared_signal_whose_link_leads_nowhere(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"s{ending}"
    path.symlink_to(tmp_path / "annex" / "not-there")
    with pytest.raises(InputError, match=r"link to data that is not there.*datalad get"):
        read_path(path.name, Folders(tmp_path.resolve()))
    row = make.session(tmp_path, "t.edf", "c.edf", shared_file=path)  # gone since the table was read
    with pytest.raises(ReadError, match=rf"s{ending}"):
        read_shared_file(path, row)
    assert set(input_hashes([row]).values()) == {"unreadable: No such file or directory"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["therapist", "study.toml", "dyads.tsv", "stray.json", "stray.tsv", "participants.tsv"]
)
def test_every_file_of_a_study(my_study: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = next(my_study.glob("dyad-01/ses-01/*therapist*")) if name == "therapist" else my_study / name
    replace(path, kind)
    for command in (["check"], ["check", "--privacy"], ["run", "--dry-run", "-o", str(tmp_path / "out")], ["init"]):
        assert cli.main([command[0], str(my_study), *command[1:]]) in (0, 2, 3, 4), command


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Leave out drawing, which opens no file and takes most of a report's time; what would be drawn is gathered."""
    for name in set(plots.__all__) - {"figure_style", "flat_positions", "palette"}:
        patch.setattr(f"{getattr(plots, name).__module__}.{name}", lambda *_, **__: None)
    patch.setattr(figures, "save_svg", lambda _: "<svg/>")


@pytest.mark.parametrize("command", ["growth", "run", "report"])
def test_every_file_of_a_results_folder(
    tiny: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    draw_nothing(monkeypatch)
    names = [".hyperscan.lock", *(path.relative_to(tiny_run).as_posix() for path in sorted(tiny_run.rglob("*.*")))]
    one_of_each = {Path(each).name: each for each in names if not each.startswith("logs")}
    assert {"unit.json", "eeg_synchrony.nc", "plan.json", "synchrony.tsv", "config.toml"} < set(one_of_each)
    for name in one_of_each.values():
        out = Path(shutil.copytree(tiny_run, tmp_path / "out"))
        if not (out / name).is_dir():
            replace(out / name, "a pipe")
            faulthandler.dump_traceback_later(60, exit=True)
            with contextlib.suppress(HyperscanError):
                if command == "run":
                    run(tiny, out)
                else:
                    cli.main([command, str(out)])
        shutil.rmtree(out)
