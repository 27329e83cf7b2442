"""What a command line may say: options, values, help pages, and their completion in a shell."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from hyperscan import cli
from hyperscan.cli.parsers import COMMANDS, PROGRAMS
from hyperscan.schema import MODALITIES


def call(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("chek", "x"), "Did you mean 'check'?"),
        (("run", "x", "-o", "y", "--job", "2", "--sed", "1"), "--se"),
        (("simulate", "x", "--modality", "fnir"), "Did you mean 'fnirs'?"),
        (("run", "x", "-o", "y", "--jobs", "0"), "whole number"),
        (("run", "x", "-o", "y", "--seed", "-1"), "--seed"),
        ((), "required"),
    ],
)
def test_usage_faults_end_with_2(arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(*arguments)
    assert caught.value.code == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_page_has_an_example_and_the_exit_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(name, "--help")
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert f"hyperscan {name}" in said
    assert "5 output locked" in said


LINES = [line.strip() for command in COMMANDS.values() for line in command.example.splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_help_pages_is_understood(line: str) -> None:
    """They are copied as they stand: no option in them is gone or renamed."""
    program, *words = shlex.split(line.partition(" > ")[0])
    parsed = PROGRAMS[program]().parse_args(words)
    assert parsed.action is COMMANDS[words[0]].action


def test_the_bids_door_has_an_example_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.bids_main(["--help"])
    assert "hyperscan-bids my_bids results participant --participant-label 01 02" in capsys.readouterr().out


def test_modalities_are_those_of_the_vocabulary() -> None:
    (modality,) = [argument for argument in COMMANDS["simulate"].arguments if argument.flags == ("--modality",)]
    assert modality.told["choices"] == MODALITIES
    assert modality.told["default"] == MODALITIES[0]


def completed(*words: str, cwd: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash offers for the last of the words."""
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("no bash on this machine")
    assert call("completion", "bash", "--program", words[0]) == 0
    script = capsys.readouterr().out + (
        'COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE};'
        f' _shtab_{words[0].replace("-", "_")}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        [shell, "-c", script, "bash", *words], capture_output=True, text=True, check=True, cwd=cwd, timeout=60
    )
    assert not done.stderr
    return sorted(done.stdout.split("\n")[:-1])


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hyperscan co", ["completion", "config"]),
        ("hyperscan run --d", ["--dry-run", "--dyad-label"]),
        ("hyperscan simulate --modality ", ["eeg", "fnirs"]),
        ("hyperscan completion z", ["zsh"]),
        ("hyperscan check my", ["my study"]),
        ("hyperscan run x -o my", ["my study"]),
        ("hyperscan-bids x y g", ["group"]),
        ("hyperscan-bids my", ["my study"]),
        ("hyperscan-bids x y participant --se", ["--session-label"]),
    ],
)
def test_bash_completes_commands_options_values_and_files(
    line: str, offered: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my study").mkdir()
    assert completed(*line.split(" "), cwd=tmp_path, capsys=capsys) == offered


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_zsh_script_is_one_and_knows_every_command_and_option(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("completion", "zsh", "--program", program) == 0
    script = capsys.readouterr().out
    assert script.startswith(f"#compdef {program}\n")
    pages = [PROGRAMS[program]()]
    if program == "hyperscan":
        (commands,) = [a for a in pages[0]._actions if isinstance(a, argparse._SubParsersAction)]
        pages = list(commands.choices.values())
        assert all(f"\n    {name}:'" in script for name in COMMANDS)
    assert all(string in script for page in pages for action in page._actions for string in action.option_strings)
    shell = shutil.which("zsh")
    if shell is not None:
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)
