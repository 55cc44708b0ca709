"""What a test does without its server: it is skipped on a laptop, and fails where CI=true."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(what: str, how: str) -> NoReturn:
    """*what* is missing, *how* says where to get it."""
    message = f"{what} cannot be had here: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
