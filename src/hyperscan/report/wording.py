"""Texts of a report without what identifies people."""

from __future__ import annotations

import re

_PATH = re.compile(r"""(?<![\w.<])(?:[A-Za-z]:[\\/]|\\\\|~?/)(?:[^\s"'<>|:*?]+[\\/])+[^\s"'<>|:*?]*""")


def without_paths(text: object) -> str:
    """Replace absolute paths, which may hold people's names, by their last part.

    Examples
    --------
    >>> without_paths("hyperscan run /home/jane/study/dyads.tsv -o out")
    'hyperscan run …/dyads.tsv -o out'
    """
    return _PATH.sub(lambda m: "…/" + re.split(r"[\\/]", m[0].rstrip("\\/"))[-1], str(text))
