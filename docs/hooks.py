"""What the site takes from the program itself while it is built, so that it cannot go stale.

A line ``<!-- output: hyperscan metrics -->`` becomes the output of that command. ``<!-- table: metrics -->``,
``<!-- table: formats -->`` and ``<!-- table: synchrony -->`` (or ``pseudo``, ``guards``, ``within``, ``quality``)
become tables, ``<!-- table: validation -->`` and ``<!-- table: reliability -->`` lists of the pages in that folder.
``<!-- functions: metrics -->`` becomes every metric's function with what it is blind to and its plain definition.
``<!-- figure: growth -->`` runs ``gallery/growth.py`` and becomes its figure and its lines, ``<!-- code: example -->``
the lines alone, ``<!-- picture: growth -->`` the figure without its lines.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import html
import io
import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
#: What a docstring puts before a name (``:func:``), which the site shows as text
_ROLE = re.compile(r":(?:func|class|meth|data|attr|mod|exc):<code>~?")

_MARK = re.compile(r"^<!-- (output|table|figure|picture|code|functions): (.+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the marked lines of a page; pyplot keeps none of its figures."""
    from hyperscan.plots.style import detached

    with detached():
        return _MARK.sub(lambda mark: _filled(mark[1], mark[2]), markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Let wide tables and code scroll by themselves, by keyboard too, instead of the page; show names as code."""
    content = _ROLE.sub("<code>", content).replace("<pre>", '<pre tabindex="0">')
    return content.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")


def on_post_page(output: str, **_: Any) -> str:
    """Name the theme's bar as what it is, for screen readers."""
    return output.replace('<div class="navbar ', '<div role="navigation" aria-label="Pages" class="navbar ', 1)


def _filled(kind: str, what: str) -> str:
    if kind == "output":
        return f"```text\n{command_output(what).rstrip()}\n```"
    if kind == "functions":
        return metric_functions()
    if kind == "table":
        return TABLES[what]()
    script = HERE / "gallery" / f"{what}.py"
    if kind == "picture":
        # the page has a sentence of its own above it
        return figure(script).partition("```")[0].partition("\n\n")[2]
    return figure(script) if kind == "figure" else f"```python\n{script.read_text(encoding='utf-8').strip()}\n```"


def command_output(line: str) -> str:
    """Run one of the package's commands and return what it prints."""
    from hyperscan import cli

    program, *arguments = shlex.split(line)
    main = {"hyperscan": cli.main, "hyperscan-bids": cli.bids_main}[program]
    os.environ["COLUMNS"] = "100"
    shown = io.StringIO()
    # --help ends the program
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main(arguments)
    return shown.getvalue()


def figure(script: Path) -> str:
    """Run a script of the gallery; show what it drew (``figure`` or ``ax``), what it says of it, and its lines."""
    sys.path.insert(0, str(script.parent))
    from hyperscan.plots.style import detached

    try:
        with detached():
            names = runpy.run_path(str(script))
    finally:
        sys.path.remove(str(script.parent))
    _, said, code = script.read_text(encoding="utf-8").split('"""', 2)
    drawn = picture(names["figure"] if "figure" in names else names["ax"], said)
    return f"{said}\n\n{drawn}\n\n" + f"```python\n{code.strip()}\n```"


def picture(drawn: Any, said: str) -> str:
    """Turn Axes into a picture inside the page, one that adapts to light and dark."""
    from hyperscan.plots import save_svg

    text = save_svg(drawn)
    address = f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"
    width = re.search(r'width="([\d.]+)pt"', text)
    # CSS pixels of points; style.css makes it narrower with the page, as far as its letters can be read
    size = f"--width: {float(width[1]) * 4 / 3:.0f}px" if width else ""
    shown = f'<img src="{address}" alt="{html.escape(said)}" style="{size}">'
    return f'<div class="wide" tabindex="0">{shown}</div>'


@cache
def metric_functions() -> str:
    """Every metric's function, what it is blind to, and the plain definition that the tests hold it to."""
    from hyperscan.metrics import METRICS
    from hyperscan.plots.style import detached

    sys.path.insert(0, str(HERE))
    import blindness

    parts = []
    for name in METRICS:
        said = blindness.told(name)
        with detached():
            drawn = blindness.figure(name)
        parts += [
            f"::: hyperscan.metrics.{name}",
            said,
            picture(drawn, f"{name} over lag, signal, distance of peaks and window. {said}"),
            f"`{name}` as plain code:",
            f"```python\n{plain_definition(name)}\n```",
        ]
    return "\n\n".join(parts)


def plain_definition(name: str) -> str:
    """Lines of a metric's plain definition, after those of the functions that it calls."""
    text = (HERE.parent / "tests" / "plain_definitions.py").read_text(encoding="utf-8")
    known = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    wanted, found = [name], []
    while wanted:
        one = wanted.pop()
        found.append(one)
        used = {node.id for node in ast.walk(known[one]) if isinstance(node, ast.Name)}
        wanted += [other for other in used if other in known and other not in found]
    return "\n\n\n".join(ast.get_source_segment(text, known[one]) or "" for one in known if one in found)


def metrics_table() -> str:
    """Every metric with its facts and the paper that defines it."""
    from hyperscan.metrics import METRICS
    from hyperscan.metrics.table import DIRECTIONS

    heads = "| metric | what it is | for | range | without coupling | sees lag 0 | blind to | direction | paper |"
    rows = [heads, "|---" * 9 + "|"]
    for name, spec in METRICS.items():
        low, high = spec.bounds
        direction = DIRECTIONS[spec.direction]
        # a DOI may hold < and >
        link = f"[doi](<https://doi.org/{spec.citation.replace('<', '%3C').replace('>', '%3E')}>)"
        sees = "no" if spec.zero_lag_blind else "yes"
        kinds = ", ".join({"eeg": "EEG", "fnirs": "fNIRS"}[kind] for kind in spec.modalities)
        blind = ", ".join(spec.blind) or "-"
        facts = (f"`{name}`", spec.summary, kinds, f"{low:g} to {high:g}", spec.chance, sees, blind, direction, link)
        rows.append("| " + " | ".join(facts) + " |")
    return "\n".join(rows)


def column_table(table: str) -> str:
    """Columns of a table of a run: what each means, and its unit."""
    from hyperscan import schema

    columns = [schema.COLUMNS[name] for name in schema.TABLES[table]]
    if table == "quality":
        columns += [replace(column, name=f"{column.name}<band>") for column in schema.BANDWISE.values()]
        facts = dict.fromkeys(name for names in schema.QUALITY_FACTS.values() for name in names if name != "bands")
        columns += [schema.COLUMNS[name] for name in facts if name not in schema.TABLES[table]]
    rows = ["| column | meaning | unit |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| `{column.name}` | {column.meaning} | {column.units} |" for column in columns)])


def indices_table() -> str:
    """Every index of one person with its units."""
    from hyperscan.schema import INDICES

    rows = ["| index | what it is | unit of `estimate` | of `level`, `value` |", "|---" * 4 + "|"]
    rows += [f"| `{name}` | {facts.meaning} | {facts.unit} | {facts.scale} |" for name, facts in INDICES.items()]
    rows.append(
        "| `lagcoh`, `wtc` ... | coupling inside the person by that metric | as the metric | its growth scale |"
    )
    return "\n".join(rows)


def verdicts_table(words: str = "VERDICTS") -> str:
    """Every verdict with what it says and what it cannot say."""
    from hyperscan import words as said_of

    verdicts = getattr(said_of, words)
    rows = ["| verdict | what it says | what it does not say |", "|---" * 3 + "|"]
    return "\n".join([*rows, *(f"| `{word}` | {said.meaning} | {said.limits} |" for word, said in verdicts.items())])


def guards_table(of: str = "GUARDS") -> str:
    """Every guard with its question and what fails it."""
    from hyperscan import words as said_of

    names = {"eeg": "EEG", "fnirs": "fNIRS"}
    rows = ["| guard | of | question | it fails if |", "|---" * 4 + "|"]
    for name, words in getattr(said_of, of).items():
        modalities = ", ".join(names[modality] for modality in words.modalities)
        rows.append(f"| `{name}` | {modalities} | {words.question} | {words.fails} |")
    return "\n".join(rows)


def relations_table() -> str:
    """Every relation of an outcome to synchrony with its question."""
    from hyperscan.words import RELATION_WORDS

    rows = ["| relation | question | order |", "|---" * 3 + "|"]
    when = "as `measured` says"
    return "\n".join(
        [*rows, *(f"| `{name}` | {w.question} | {w.order or when} |" for name, w in RELATION_WORDS.items())]
    )


def answers_table() -> str:
    """Every answer on a relation with what it says."""
    from hyperscan.words import RELATION_ANSWERS

    rows = ["| answer | what it says |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{word}` | {said.meaning} |" for word, said in RELATION_ANSWERS.items())])


def relation_guards_table() -> str:
    """Guards that only relations have."""
    from hyperscan.words import RELATION_GUARDS

    rows = ["| guard | question | it fails if |", "|---" * 3 + "|"]
    return "\n".join([*rows, *(f"| `{name}` | {asks} | {fails} |" for name, (asks, fails) in RELATION_GUARDS.items())])


def formats_table() -> str:
    """Every format with its endings, what is read of it, and what is refused and why."""
    from hyperscan.study.formats import FORMATS

    kinds = {"eeg": "EEG", "fnirs": "fNIRS", "": "EEG or fNIRS"}
    rows = ["| format | of | endings | read | refused |", "|---" * 5 + "|"]
    for form in FORMATS:
        endings = " ".join(f"`{suffix}`" for suffix in form.suffixes) or "folder"
        rows.append(f"| {form.name} | {kinds[form.modality]} | {endings} | {form.reads} | {form.refuses} |")
    return "\n".join(rows)


def page_list(folder: str) -> str:
    """Links to the generated pages of a folder, by their titles."""
    pages = sorted((HERE / folder).glob("*.md"))
    titles = [page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for page in pages]
    links = [f"- [{title}]({folder}/{page.name})" for title, page in zip(titles, pages, strict=True)]
    return "\n".join(links) or "These pages are not generated yet."


TABLES: dict[str, Callable[[], str]] = {
    "formats": formats_table,
    "guards": guards_table,
    "indices": indices_table,
    "metrics": metrics_table,
    "verdicts": verdicts_table,
    "relations": relations_table,
    "answers": answers_table,
    "relation_guards": relation_guards_table,
    "person_verdicts": partial(verdicts_table, "PERSON_VERDICTS"),
    "person_guards": partial(guards_table, "PERSON_GUARDS"),
    **{name: partial(column_table, name) for name in ("synchrony", "pseudo", "lags", "guards", "within", "quality")},
    "validation": lambda: page_list("validation"),
    "reliability": lambda: page_list("reliability"),
}
