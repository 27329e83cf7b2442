"""What a command says and how it is stopped: exit codes, signals, and a caller that is left as it was."""

from __future__ import annotations

import argparse
import copy
import importlib
import logging
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tqdm import tqdm

import hyperscan
from hyperscan import cli
from hyperscan.cli import commands, terminal
from hyperscan.cli.parsers import COMMANDS, RUNNING
from hyperscan.errors import HyperscanError, NothingToAnalyseError, OutputLockedError, OutputWriteError
from pipeline_fixtures import tiny_study
from report_fixtures import Fake, write_fake


def call(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_verbose_says_more_of_us_and_no_more_of_libraries() -> None:
    code = (
        "import logging; from hyperscan import cli; from hyperscan.cli.parsers import COMMANDS\n"
        "def tell(_):\n"
        "    print([logging.getLogger(n).isEnabledFor(logging.DEBUG) for n in ('hyperscan.pipeline', 'matplotlib')])\n"
        "    return 0\n"
        "COMMANDS['metrics'] = COMMANDS['metrics']._replace(action=tell); cli.main(['metrics', '-v'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[True, False]\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OutputLockedError("x: locked"), 5, "locked"),
        (OutputWriteError("x: full"), 6, "full"),
        (NothingToAnalyseError("x: nothing"), 4, "nothing"),
        (PermissionError(13, "Permission denied", "/home/jane/x.tsv"), 6, "x.tsv: Permission denied"),
        (MemoryError(), 1, "memory ran out"),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, words: str
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setitem(COMMANDS, "metrics", COMMANDS["metrics"]._replace(action=fail))
    assert call("metrics") == code
    said = capsys.readouterr().err
    assert words in said
    assert "/home/jane" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def interrupt(_: argparse.Namespace) -> int:
        signal.raise_signal(number)
        return 0

    monkeypatch.setitem(COMMANDS, "metrics", COMMANDS["metrics"]._replace(action=interrupt))
    assert call("metrics") == code


def mask() -> int:
    kept = os.umask(0)
    os.umask(kept)
    return kept


def logs() -> dict[str, object]:
    every = {name: logging.getLogger(name) for name in ("", "hyperscan", "py.warnings", "mne", "matplotlib")}
    return {name: (log.level, [*log.handlers], [*log.filters], log.propagate) for name, log in every.items()}


#: What a process has one of, and a function could leave changed.
STATES: dict[str, Callable[[], object]] = {
    "signal handlers": lambda: {number: signal.getsignal(number) for number in signal.valid_signals()},
    # a timer counts down while the command works: whether one runs, not where it is
    "timers and blocked signals": lambda: (signal.getitimer(signal.ITIMER_REAL)[0] > 0, signal.pthread_sigmask(0, [])),
    "warnings.showwarning": lambda: warnings.showwarning,
    "warnings.filters": lambda: [*warnings.filters],
    "logs": logs,
    "logging.disable": lambda: logging.root.manager.disable,
    "logging of warnings": lambda: logging._warnings_showwarning,
    "os.environ": lambda: dict(os.environ),
    "sys.argv": lambda: [*sys.argv],
    "sys.path": lambda: [*sys.path],
    "working folder": Path.cwd,
    "file mask": mask,
    "streams": lambda: (sys.stdin, sys.stdout, sys.stderr),
    "where standard output leads": lambda: (os.fstat(1).st_dev, os.fstat(1).st_ino),
    "hooks": lambda: (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace()),
    "recursion limit": sys.getrecursionlimit,
    "threads": lambda: {thread.name for thread in threading.enumerate()},
    "matplotlib settings": lambda: {name: dict.__getitem__(mpl.rcParams, name) for name in mpl.rcParams},
    "numpy errors": lambda: (np.geterr(), np.geterrcall()),
    "numpy print options": np.get_printoptions,
    "numpy random": lambda: str(np.random.get_state()),  # noqa: NPY002 - the one of the process is meant
    "random": random.getstate,
    "pandas options": lambda: copy.deepcopy(pd._config.config._global_config),
    "xarray options": lambda: dict(xr.get_options()),
    "mne settings": lambda: dict(mne.get_config()),
}


@pytest.fixture(scope="module")
def imported() -> None:
    """Import everything: what a library changes while it is imported for the first time is its own."""
    for module in pkgutil.walk_packages(hyperscan.__path__, "hyperscan."):
        importlib.import_module(module.name)
    # imported where it is used; and the thread that watches every bar starts with the first one
    importlib.import_module("netCDF4")
    tqdm(disable=True)


@pytest.fixture
def states(imported: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Give a check whether every state of the process is as it was when the check was called first."""
    before: dict[str, object] = {}

    def check() -> None:
        if not before:
            # as in a process that never set up any log; pytest did
            monkeypatch.setattr(logging.getLogger(), "handlers", [])
            before.update({name: state() for name, state in STATES.items()})
        now = {name: state() for name, state in STATES.items()}
        assert not {name: (before[name], now[name]) for name in STATES if before[name] != now[name]}

    return check


#: For every command, arguments that work and arguments that end in an error ({0} a study, {1} a run, {2} a new path).
CALLS = {
    "init": ("{0} --therapist-id each --clock same_amplifier", "{2}"),
    "check": ("{0}", "{2}"),
    "run": ("{0} -o {2} --private --jobs 2", "{2} -o {2}"),
    # the settings of the study name choices
    "multiverse": ("{0} -o {2}", "{2} -o {2}"),
    "growth": ("{1} --outcomes n_windows -v", "{2}"),
    "config": ("--defaults", None),
    "power": (
        "--dyads 8 --sessions 4 --slope 0.05 --simulations 5 --figure {2}.svg",
        "--dyads 8 --sessions 4 --slope -1",
    ),
    "report": ("{1} -q", "{2}"),
    "view": ("{1} -q", "{2}"),
    "metrics": ("", None),
    "simulate": ("{2} --dyads 1 --sessions 1", "{2} --scenario unheard"),
    "completion": ("zsh", None),
}


def test_every_command_is_called() -> None:
    assert CALLS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_command_leaves_its_caller_as_it_was(
    name: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    states: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = tiny_study(tmp_path / "study", n_sessions=1)
    works, fails = CALLS[name]
    run = shutil.copytree(request.getfixturevalue("small_run"), tmp_path / "run") if "{1}" in works else ""
    if name == "init":
        (study / "dyads.tsv").unlink()
    if name == "multiverse":
        with (study / "study.toml").open("a") as settings:
            settings.write("\n[multiverse]\nseed = [0, 1]\n")

    def called(arguments: str) -> int:
        return call(name, *arguments.format(study, run, tmp_path / "new").split())

    states()
    assert called(works) == 0
    states()
    if fails is not None:
        assert called(fails) == 2
        states()
    with pytest.raises(SystemExit):
        call(name, "--unheard-of")
    states()

    def interrupt(_: argparse.Namespace) -> int:
        warnings.simplefilter("always")
        warnings.warn("said on the way", stacklevel=1)
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setitem(COMMANDS, name, COMMANDS[name]._replace(action=interrupt))
    assert called(works) == 143
    states()


@pytest.mark.parametrize("level", ["participant", "group"])
def test_the_bids_program_leaves_its_caller_as_it_was(level: str, tmp_path: Path, states: Callable[[], None]) -> None:
    study = tiny_study(tmp_path / "study", n_sessions=1)
    states()
    assert cli.bids_main([str(study), str(tmp_path / "out"), level]) == 0
    states()
    assert cli.bids_main([str(tmp_path), str(tmp_path / "out"), level]) == 2
    states()


@pytest.mark.parametrize(
    "error", [HyperscanError("x"), MemoryError(), OSError("x"), RuntimeError("a bug"), KeyboardInterrupt()]
)
def test_an_error_leaves_the_caller_as_it_was(
    error: BaseException, states: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setitem(COMMANDS, "metrics", COMMANDS["metrics"]._replace(action=fail))
    states()
    if isinstance(error, RuntimeError | KeyboardInterrupt):
        with pytest.raises(type(error)):
            call("metrics")
    else:
        assert call("metrics") > 0
    states()


def test_a_second_signal_does_not_cut_the_tidying_short(
    states: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied = []

    def interrupt(_: argparse.Namespace) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied.append(True)
        return 0

    monkeypatch.setitem(COMMANDS, "metrics", COMMANDS["metrics"]._replace(action=interrupt))
    states()
    assert call("metrics") == 130
    assert tidied
    states()


def test_a_command_works_in_any_thread(states: Callable[[], None]) -> None:
    codes: list[int] = []
    states()
    thread = threading.Thread(target=lambda: codes.append(call("metrics")))
    thread.start()
    thread.join()
    assert codes == [0]
    states()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error_and_leaves_the_stream_as_it_was(unbuffered: str) -> None:
    code = (
        "import os; from hyperscan import cli; kept = os.fstat(1);"
        "code = cli.main(['config']); assert os.fstat(1) == kept; raise SystemExit(code)"
    )
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_that_keeps_finished_sessions_says_so() -> None:
    running = {command.action for command in COMMANDS.values() if {*RUNNING} <= {*command.arguments}}
    assert {*commands.GOING_ON} == {*running, commands.bids}


#: Every character that a terminal takes for an order, or that turns the order of letters, and one that is none.
ORDERS = [
    *map(chr, (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xD800))
]


def test_no_text_steers_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Names of channels, dyads and bands come from files of others: through all three doors they are letters."""
    text = "".join(f"{order}x" for order in ORDERS)

    def action(_: argparse.Namespace) -> int:
        terminal.show(f"result: {text}")
        terminal.say(f"line: {text}")
        logging.getLogger("hyperscan").warning("log: %s", text)
        warnings.simplefilter("always")
        warnings.warn(f"warned: {text}", stacklevel=1)
        raise HyperscanError(f"error: {text}")

    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setitem(COMMANDS, "metrics", COMMANDS["metrics"]._replace(action=action))
    assert call("metrics") == 2
    said = capsys.readouterr()
    assert said.out.startswith("result: ")
    assert all(f"{word}: " in said.err for word in ("line", "log", "warned", "error"))
    assert not set(ORDERS) & set(said.out + said.err)
    assert r"\x1bx" in said.out


@pytest.mark.filterwarnings("ignore::hyperscan.errors.DataQualityWarning")
def test_an_order_in_the_results_of_others_reaches_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = write_fake(tmp_path / "out", Fake(n_dyads=3, n_sessions=2, full_pseudo=False))
    orders = {"plan.json": r"alpha\u001b]0;owned\u0007", "synchrony.tsv": "alpha\x1b]0;owned\x07"}
    for name, text in orders.items():
        (out / name).write_text((out / name).read_text().replace("alpha", text))
    (out / "run.json").write_text('{"outputs": {}}')
    call("growth", out)
    said = capsys.readouterr()
    assert "owned" in said.out + said.err
    assert "\x1b" not in said.out + said.err
