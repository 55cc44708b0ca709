"""Files that commands write."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.orderfile import ExportFormat
from workers.views.errors import Failure


def refuse_replacing(output: Path | None, format: ExportFormat, *, overwrite: bool) -> None:
    """Raise Failure where a file would be lost, or a terminal would get what is no text."""
    if output is not None and output.is_file() and not overwrite:
        raise Failure(f"{output}: is there already: --overwrite replaces it, or name another file")
    if output is None and format == "xlsx" and sys.stdout.isatty():
        raise Failure("a spreadsheet is nothing for a terminal: name a file by -o, like -o results.xlsx")
