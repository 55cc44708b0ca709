"""The control over HTTP, for other processes: /_sandbox/health, ledger, calls, owned, and a POST for each switch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tasks.providers.sandbox.exchange import Incoming, Reply
from tasks.sandbox.control import Control

PREFIX = "/_sandbox/"
_SWITCHES = ("stock", "own", "plan", "rates", "reset", "latency", "refuse_owned", "provisioning", "list_pending")


class ControlApi:
    """Answers paths under /_sandbox/. A switch takes its method's arguments as one JSON object."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._views: dict[str, Callable[..., Any]] = {
            "health": lambda: {"status": "ok"},
            "ledger": lambda kind=None: {"charges": control.charges(kind)},
            "calls": lambda kind=None: {"calls": control.calls(kind)},
            "owned": lambda kind: {"numbers": control.owned(kind)},
        }

    def answer(self, incoming: Incoming) -> Reply:
        """200, 400 with what is wrong, or 404."""
        name = incoming.path.removeprefix(PREFIX)
        try:
            if incoming.method == "GET" and name in self._views:
                return Reply(200, self._views[name](**{key: values[0] for key, values in incoming.query.items()}))
            if incoming.method == "POST" and name in _SWITCHES:
                getattr(self._control, name)(**json.loads(incoming.body or b"{}"))
                return Reply(200, {"ok": True})
        except (TypeError, ValueError) as exc:
            return Reply(400, {"error": str(exc)})
        return Reply(404, {"error": f"there is no {incoming.method} {incoming.path[:100]}"})
