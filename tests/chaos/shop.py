"""The sandboxes in a process of their own, so that the suite's work does not slow them, behind gateways."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from tasks.providers.sandbox.exchange import Incoming, Reply
from tasks.sandbox import serve, server
from tasks.sandbox.purchase import Delivery
from tasks.sandbox.router import Router

_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_UPSTREAM = [{"code": "upstream", "detail": "part of the list was not read"}]

ANSWERS: dict[str, list[Reply]] = {
    "404": [Reply(404, {"message": "Not Found"})],
    "502": [Reply(502, _HTML)],
    "empty": [Reply(200, {}), Reply(200, []), Reply(200, {"data": [], "errors": _UPSTREAM}), Reply(200, {"data": []})],
}
"""What gateways say, in turn. The last empty one misses what each provider has beside its list, or is another's."""

PASSES_ON = ("502", "empty")
"""Gateways that lose the provider's answer, and not the request."""


class Gateways(Router):
    """Answer in a provider's place, or in its answer's, as the file `gateways` of the run's folder says by kind."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._replies = {name: cycle(replies) for name, replies in ANSWERS.items()}

    def answer(self, incoming: Incoming) -> Delivery:
        """Handle one request whole."""
        said = self._said().get(incoming.path.removeprefix("/").partition("/")[0])
        if said is None:
            return super().answer(incoming)
        delivery = super().answer(incoming) if said in PASSES_ON else Delivery(Reply(404, None))
        return replace(delivery, way="send", reply=next(self._replies[said]))

    @staticmethod
    def _said() -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(FILE.read_text())
        except FileNotFoundError:
            return {}
        return found


if __name__ == "__main__":
    FILE = Path(sys.argv[3]) / "gateways"
    server.Router = Gateways  # type: ignore[misc]
    serve(seed=int(sys.argv[1]), rates=json.loads(sys.argv[2]), ready=lambda url: print(url, flush=True))
