from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tasks.sandbox import SandboxControl, SandboxServer
from tests.tasks.providers.shopper import NUMBER, OTHER, Shopper


@pytest.fixture
def remote(sandbox: SandboxServer) -> Iterator[SandboxControl]:
    with SandboxControl(sandbox.url) as control:
        yield control


def test_sees_what_the_server_sees(sandbox: SandboxServer, remote: SandboxControl, shopper: Shopper) -> None:
    shopper.buy("vogent", NUMBER)
    shopper.buy("fluents", OTHER)
    assert remote.charges() == sandbox.control.charges()
    assert [charge["number"] for charge in remote.charges("fluents")] == [OTHER]
    assert remote.calls("vogent") == sandbox.control.calls("vogent") != []
    assert remote.owned("vogent") == [NUMBER]
    assert remote.healthy()


def test_turns_every_switch(sandbox: SandboxServer, remote: SandboxControl, shopper: Shopper) -> None:
    remote.plan("vogent", "throttle", NUMBER, retry_after=9)
    assert shopper.buy("vogent", NUMBER).headers["Retry-After"] == "9"
    remote.stock("fluents", [NUMBER])
    assert shopper.outcome("fluents", OTHER) == "400"
    remote.stock("fluents", None)
    assert shopper.outcome("fluents", OTHER) == "201"
    remote.own("signalwire", [NUMBER])
    remote.refuse_owned()
    assert shopper.outcome("signalwire", NUMBER) == "422"
    remote.provisioning(0, succeed=False)
    (record,) = shopper.buy("bird", NUMBER).json()["results"]
    assert record["order"]["status"] == "rejected"
    remote.list_pending(False)
    assert not sandbox.control.ledger.lists_pending
    remote.rates(1, {"error_before": 1.0})
    assert shopper.outcome("timepay", NUMBER) == "500"
    remote.latency("vogent", 30)
    assert sandbox.control.latency_of("vogent") == 30
    remote.reset()
    assert remote.charges() == []
    assert sandbox.control.ledger.lists_pending


def test_a_mistake_comes_back_in_words(remote: SandboxControl) -> None:
    with pytest.raises(ValueError, match="'explode' is unknown"):
        remote.plan("vogent", "explode")
    with pytest.raises(ValueError, match="'acme' is unknown"):
        remote.owned("acme")


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/_sandbox/secrets", b"", 404),
        ("GET", "/_sandbox/reset", b"", 404),
        ("POST", "/_sandbox/charges", b"{}", 404),
        ("POST", "/_sandbox/plan", b"{", 400),
        ("POST", "/_sandbox/plan", b"[]", 400),
        ("POST", "/_sandbox/own", b'{"kind": "vogent"}', 400),
        ("GET", "/_sandbox/ledger?colour=red", b"", 400),
    ],
)
def test_the_door_refuses_the_rest(sandbox: SandboxServer, method: str, path: str, content: bytes, status: int) -> None:
    answer = httpx.request(method, f"{sandbox.url}{path}", content=content, trust_env=False)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_health_is_a_plain_page(sandbox: SandboxServer) -> None:
    assert httpx.get(f"{sandbox.url}/_sandbox/health", trust_env=False).json() == {"status": "ok"}


def test_a_sandbox_that_is_gone_is_not_healthy() -> None:
    with SandboxServer() as gone:
        url = gone.url
    with SandboxControl(url) as control:
        assert not control.healthy()
