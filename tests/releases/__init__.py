"""The program as it was one release ago, to be run beside today's.

`previous.tar.xz` holds its packages and nothing else, so that a clone without history or network can run them:

    git archive --format=tar COMMIT schemas tasks workers | xz -9e > tests/releases/previous.tar.xz

There is no published release yet: this is the commit "Let a program go on with a database that a newer one has
migrated, where that says so" (`git get-tar-commit-id` tells its id). Put each release in its place once it is out,
and its revision into REVISION.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).with_name("previous.tar.xz")
REVISION = "0012"
"""The revision of the tables that it is for."""


def unpack(folder: Path) -> Path:
    """Put the packages into *folder*, which is what PYTHONPATH then has to name."""
    # Python 3.11.2 of Debian 12 has no filters; the archive is our own.
    careful: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, **careful)
    return folder
