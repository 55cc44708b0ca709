"""The control of a sandbox that runs in another process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import httpx

from tasks.providers.sandbox.ledger import Call, Charge
from tasks.sandbox.control_api import PREFIX


class SandboxControl:
    """The methods of `Control`, over HTTP to *url*.

    Raises ValueError with the sandbox's words where it refuses, and httpx.HTTPError where it does not answer.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def healthy(self) -> bool:
        """Whether the sandbox answers."""
        try:
            return self._client.get(f"{PREFIX}health").status_code == 200
        except httpx.HTTPError:
            return False

    def stock(self, kind: str, numbers: Iterable[str] | None) -> None:
        """Sell only these numbers, or for None every possible one."""
        self._switch("stock", kind=kind, numbers=None if numbers is None else list(numbers))

    def own(self, kind: str, numbers: Iterable[str]) -> None:
        """Own these numbers without a charge."""
        self._switch("own", kind=kind, numbers=list(numbers))

    def plan(
        self, kind: str, fault: str, number: str | None = None, times: int = 1, on: str = "purchase", **params: Any
    ) -> None:
        """Let a fault happen to the next calls."""
        self._switch("plan", kind=kind, fault=fault, number=number, times=times, on=on, **params)

    def rates(self, seed: int, rates: Mapping[str, float]) -> None:
        """Draw random faults from now on."""
        self._switch("rates", seed=seed, rates=dict(rates))

    def latency(self, kind: str, seconds: float) -> None:
        """Answer every call of *kind* this much later."""
        self._switch("latency", kind=kind, seconds=seconds)

    def refuse_owned(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Refuse numbers that are owned already."""
        self._switch("refuse_owned", on=on)

    def provisioning(self, seconds: float, succeed: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """How long numbers take to be usable, or to be rejected, where the kind delivers after the purchase."""
        self._switch("provisioning", seconds=seconds, succeed=succeed)

    def list_pending(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Have lists show numbers whose order is not delivered yet, or not."""
        self._switch("list_pending", on=on)

    def reset(self) -> None:
        """Forget everything."""
        self._switch("reset")

    def charges(self, kind: str | None = None) -> list[Charge]:
        """Every executed purchase, in order."""
        charges: list[Charge] = self._view("ledger", kind)["charges"]
        return charges

    def calls(self, kind: str | None = None) -> list[Call]:
        """Every purchase call that came in, in order."""
        calls: list[Call] = self._view("calls", kind)["calls"]
        return calls

    def owned(self, kind: str) -> list[str]:
        """The owned numbers."""
        numbers: list[str] = self._view("owned", kind)["numbers"]
        return numbers

    def _view(self, name: str, kind: str | None) -> Any:
        return _checked(self._client.get(f"{PREFIX}{name}", params={} if kind is None else {"kind": kind}))

    def _switch(self, name: str, **arguments: Any) -> None:
        _checked(self._client.post(f"{PREFIX}{name}", json=arguments))


def _checked(response: httpx.Response) -> Any:
    body = response.json()
    if response.status_code == 400:
        raise ValueError(body["error"])
    response.raise_for_status()
    return body
