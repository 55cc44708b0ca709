"""What an adapter must do before money goes through it: a suite that runs against the kind's own sandbox.

`dialstock provider conformance KIND` runs it; pytest has to be installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


class NoPytest(Exception):
    """pytest is not installed."""


def run(kind: str, arguments: Sequence[str] = ()) -> int:
    """Run the suite for *kind*, with further *arguments* for pytest. Returns pytest's status; raises NoPytest."""
    if find_spec("pytest") is None:
        raise NoPytest("the conformance suite needs pytest: install it beside dialstock (pip install pytest)")
    import pytest  # noqa: PLC0415 - no dependency of what is installed

    here = Path(__file__).parent
    options = ["-p", f"{__name__}.fixtures", "-p", "no:cacheprovider", "--rootdir", str(here), "-c", "/dev/null"]
    return int(pytest.main([*options, "--kind", kind, *arguments, str(here)]))
