"""What may differ between two equal runs: command, times, workers, and where something of ours failed."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hyperscan.storage import write_text

logger = logging.getLogger(__name__)

LOGS = "logs"


class RunLog:
    """A file of lines with their times in UTC.

    Parameters
    ----------
    out : Path
        Output folder.
    facts : mapping
        What stands at the top.
    """

    def __init__(self, out: Path, facts: Mapping[str, Any]) -> None:
        now = datetime.now(UTC)
        self.path = out / LOGS / f"run-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
        head = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count(), **facts}
        write_text(self.path, "".join(f"# {name}: {value}\n" for name, value in head.items()))

    def say(self, text: str) -> None:
        """Add a line, shown with ``--verbose`` too. A log that cannot be written stops no run."""
        logger.debug("%s", text)
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n"
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)

    def summaries(self, rows: Mapping[Any, Mapping[str, Any]]) -> None:
        """Add what was skipped, what is weaker than it looks, and the frames of faults of ours."""
        for key, row in rows.items():
            for note in row.get("notes", ()):
                self.say(f"{key}: warning: {note}")
            if row["status"] != "ok":
                self.say(f"{key}: {row['status']}: {row['reason']}")
            for frame in row.get("traceback", ()):
                self.say(f"{key}:   at {frame}")
