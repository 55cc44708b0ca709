"""Send one message for each number: python -m tests.bench.peers.send MODULE COUNT, with the workers' environment."""

from __future__ import annotations

import importlib
import sys

from tests.bench.measuring.dialing import consecutive

if __name__ == "__main__":
    importlib.import_module(f"tests.bench.peers.{sys.argv[1]}").send(consecutive(int(sys.argv[2])))
