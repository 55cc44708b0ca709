"""A world once more in another process, which puts sets in another order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LIVE = """
from tests.simulation.stage import stage_on
with stage_on(postgresql={postgresql}) as stage:
    print("\\n".join(stage.live({seed}).trace))
"""


def trace_of(seed: int, *, postgresql: bool = False) -> tuple[str, ...]:
    """What happens in the world of *seed*."""
    done = subprocess.run(
        [sys.executable, "-c", _LIVE.format(seed=seed, postgresql=postgresql)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(done.stdout.splitlines())
