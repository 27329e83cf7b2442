"""Completion of the command line in a shell, written from the parser itself so that it cannot go stale."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

#: Shells that are served.
SHELLS = ("bash", "zsh")


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Write the completion script of a command with subcommands.

    Examples
    --------
    >>> parser = argparse.ArgumentParser(prog="tool")
    >>> commands = parser.add_subparsers()
    >>> _ = commands.add_parser("run").add_argument("--kind", choices=("a", "b"))
    >>> completion_script(parser, "bash").splitlines()[-1]
    'complete -F _tool tool'
    """
    return {"bash": _bash, "zsh": _zsh}[shell](parser.prog, _commands(parser))


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices)


def _options(command: argparse.ArgumentParser) -> Iterator[tuple[list[str], argparse.Action]]:
    for action in command._actions:
        if action.option_strings:
            yield list(action.option_strings), action


def _values(command: argparse.ArgumentParser) -> list[str]:
    """List the allowed values of the positional arguments."""
    return [str(value) for action in command._actions if not action.option_strings for value in action.choices or ()]


def _bash(prog: str, commands: dict[str, argparse.ArgumentParser]) -> str:
    lines = [
        f"_{prog}() {{",
        '  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words="" files=1',
        "  COMPREPLY=()",
        f'  if [ "$COMP_CWORD" -eq 1 ]; then words="{" ".join(commands)} --help --version"; else',
        '  case "${COMP_WORDS[1]}:$before" in',
    ]
    for name, command in commands.items():
        for strings, action in _options(command):
            if action.choices:
                patterns = "|".join(f"{name}:{string}" for string in strings)
                lines.append(f'    {patterns}) words="{" ".join(map(str, action.choices))}" files=0;;')
    lines.append('    *) case "${COMP_WORDS[1]}" in')
    for name, command in commands.items():
        known = [string for strings, _ in _options(command) for string in strings]
        lines.append(f'      {name}) words="{" ".join([*_values(command), *known])}";;')
    lines += [
        "    esac;;",
        "  esac; fi",
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
        '  if [ "$files" = 1 ] && [ "$COMP_CWORD" -gt 1 ] && [[ "$word" != -* ]]; then',
        "    local IFS=$'\\n'  # a name of a file may hold a space",
        '    compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$word"))',
        "  fi",
        "}",
        f"complete -F _{prog} {prog}",
    ]
    return "\n".join(lines) + "\n"


def _zsh(prog: str, commands: dict[str, argparse.ArgumentParser]) -> str:
    lines = [f"#compdef {prog}", f"_{prog}() {{", "  local -a commands", "  commands=("]
    lines += [f"    {_quoted(f'{name}:{command.description}')}" for name, command in commands.items()]
    lines += ["  )", "  if (( CURRENT == 2 )); then _describe command commands; return; fi", '  case "$words[2]" in']
    for name, command in commands.items():
        told = [_zsh_option(string, action) for strings, action in _options(command) for string in strings]
        values = _values(command)
        rest = f"*:value:({' '.join(values)})" if values else "*:file:_files"
        lines.append(f"    {name}) shift words; (( CURRENT-- )); _arguments {' '.join([*told, _quoted(rest)])};;")
    lines += ["  esac", "}", f"compdef _{prog} {prog}"]
    return "\n".join(lines) + "\n"


def _zsh_option(string: str, action: argparse.Action) -> str:
    help_text = (action.help or "").translate(str.maketrans("[]:", "() "))
    told = f"{string}[{help_text}]"
    if action.nargs == 0:
        return _quoted(told)
    values = f"({' '.join(map(str, action.choices))})" if action.choices else "_files"
    return _quoted(f"{told}:{str(action.metavar or action.dest).replace(':', ' ')}:{values}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
