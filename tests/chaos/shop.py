"""The five sandboxes in a process of their own, so that the suite's work does not slow them."""

from __future__ import annotations

import json
import sys

from tasks.providers.sandbox import serve

if __name__ == "__main__":
    serve(seed=int(sys.argv[1]), rates=json.loads(sys.argv[2]), ready=lambda url: print(url, flush=True))
