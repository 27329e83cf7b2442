"""Imports only go down the list of rooms; rooms on one line do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "hyperscan"

# top to bottom, as the design has it
LINES = [
    {"cli"},
    {"pipeline"},
    {"report"},
    {"synchrony", "growth"},
    {"simulate"},
    {"results"},
    {"recording"},
    {"study", "plots"},
    {"metrics", "nulls"},
    {"transforms"},
    {"config"},
    {"hdf5"},
    {"storage"},
    {"words"},
    {"schema", "errors", "recall"},
]
LEVEL = {room: len(LINES) - i for i, rooms in enumerate(LINES) for room in rooms}
DOORS = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
MODULES = sorted(set(PACKAGE.rglob("*.py")) - DOORS)

# rooms of the room of recordings, top to bottom: a module without a folder of its own is of the lowest, but for the one
# that reads a session from files
RECORDING = ("cleaning", "clocks", "memory", "read", "files", "")

# what a room may import from outside, where the design restricts it
ALLOWED = {
    "transforms": {"numpy", "scipy"},
    "metrics": {"numpy", "scipy", "numba", "mne_connectivity"},
    "nulls": {"numpy", "scipy"},
    "growth": {"numpy", "scipy", "pandas", "matplotlib"},
}
STDLIB_ROOMS = ("transforms", "metrics", "nulls", "growth")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def violations(path: Path, names: list[str]) -> list[str]:
    room = room_of(path)
    found = []
    for name in names:
        parts = name.split(".")
        if parts[0] != "hyperscan" or len(parts) < 2 or parts[1] in ("__version__", room):
            continue
        if parts[1] not in LEVEL or LEVEL[parts[1]] >= LEVEL[room]:
            found.append(f"{path.relative_to(PACKAGE)} imports {name}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    assert room_of(path) in LEVEL, f"{room_of(path)} is no room of the design"
    assert violations(path, imported_names(path)) == []


def recording_level(parts: Sequence[str]) -> int:
    room = parts[0].removesuffix(".py") if parts else ""
    return len(RECORDING) - RECORDING.index(room if room in RECORDING else "")


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "recording").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_inside_the_room_of_recordings_go_down(path: Path) -> None:
    own = path.relative_to(PACKAGE / "recording").parts
    if own == ("__init__.py",):
        return
    inside = [name.split(".")[2:] for name in imported_names(path) if name.startswith("hyperscan.recording.")]
    assert [parts for parts in inside if recording_level(parts) > recording_level(own)] == []


def test_an_upward_import_would_be_found() -> None:
    assert violations(PACKAGE / "metrics" / "x.py", ["hyperscan.growth.fit"]) == [
        "metrics/x.py imports hyperscan.growth.fit"
    ]
    assert violations(PACKAGE / "metrics" / "x.py", ["hyperscan.nulls.lags"]) != []


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room_of(p) in ALLOWED], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_numerical_rooms_need_little(path: Path) -> None:
    import sys

    outside = {name.split(".")[0] for name in imported_names(path)} - {"hyperscan", "__future__"}
    assert outside - set(sys.stdlib_module_names) <= ALLOWED[room_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_asks_for_the_slow_parts_of_scipy_before_they_are_used(path: Path) -> None:
    """``import scipy`` loads a part when it is used: a run with nothing to do takes a third less."""
    loaded = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {f"{getattr(node, 'module', '')}.{alias.name}" for node in loaded for alias in node.names}
    parts = {part for name in names for part in name.split(".") if "scipy" in name}
    assert not parts & {"stats", "signal", "interpolate", "ndimage", "optimize"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_context_is_entered_by_hand(path: Path) -> None:
    """One that nobody refers to is left at once; ``with`` and a stack hold theirs."""
    called = [node.func.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
              and isinstance(node.func, ast.Attribute)]  # fmt: skip
    assert "__enter__" not in called
