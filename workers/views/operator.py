"""Who gives a command."""

from __future__ import annotations

import getpass
import os

from workers.views.errors import Failure

MAX_NAME = 100
MAX_NOTE = 500


def person(by: str | None) -> str:
    """*by*, or the login name. Raises Failure for a name that cannot be written down."""
    name = (by if by is not None else _login()).strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Failure(f"--by {by!r} is no name: give 1 to {MAX_NAME} printable characters")
    return name


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have no name.
        return f"uid {os.getuid()}"
