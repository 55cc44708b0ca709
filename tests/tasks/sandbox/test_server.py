from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tasks.sandbox import SandboxControl, SandboxServer
from tests.tasks.providers.shopper import BEARER, KINDS, NUMBER, Shopper
from tests.waiting import PATIENCE, eventually

PROGRAM = """
import sys
from tasks.sandbox import serve
serve(ledger_path=sys.argv[1], ready=lambda url: print(url, flush=True))
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "ledger.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    shopper = Shopper(url)
    with SandboxControl(url) as control:
        control.plan("vogent", "silence_after")
        assert shopper.outcome("vogent", NUMBER, timeout=0.5) == "ReadTimeout"
        assert [charge["number"] for charge in control.charges()] == [NUMBER]
    shopper.client.close()
    process.send_signal(number)
    assert process.wait(timeout=PATIENCE) == 0


def test_stopping_releases_those_who_wait() -> None:
    outcomes: list[str] = []
    with SandboxServer() as server:
        server.control.plan("vogent", "silence_before")
        server.control.plan("fluents", "slow", seconds=3600)
        server.control.plan("signalwire", "drip", seconds=3600)
        shoppers = [Shopper(server.url) for _ in range(3)]
        threads = [
            threading.Thread(target=lambda s=shopper, k=kind: outcomes.append(s.outcome(k, NUMBER, timeout=PATIENCE)))
            for shopper, kind in zip(shoppers, ("vogent", "fluents", "signalwire"), strict=True)
        ]
        for thread in threads:
            thread.start()
        eventually(lambda: len(server.control.calls()) == 3, what="the calls arrive")
    for thread, shopper in zip(threads, shoppers, strict=True):
        thread.join(timeout=PATIENCE)
        shopper.client.close()
    assert len(outcomes) == 3
    assert set(outcomes) <= {"RemoteProtocolError", "ReadError"}


def test_the_control_can_be_read_after_the_end() -> None:
    with SandboxServer() as server:
        shopper = Shopper(server.url)
        shopper.buy("vogent", NUMBER)
        shopper.client.close()
    assert [charge["number"] for charge in server.control.charges()] == [NUMBER]


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            SandboxServer(taken.getsockname()[1]).start()


def test_latency_is_for_every_call_of_a_kind(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.latency("vogent", 0.2)
    begun = time.monotonic()
    shopper.buy("vogent", NUMBER)
    bought = time.monotonic()
    shopper.get("/vogent/api/phone_numbers")
    assert bought - begun >= 0.2
    assert time.monotonic() - bought >= 0.2


def test_latency_from_the_start_is_for_all_kinds() -> None:
    with SandboxServer(latency=5, rates={"throttle": 0.5}, seed=3) as server:
        assert [server.control.latency_of(kind) for kind in KINDS] == [5.0] * len(KINDS)


def test_the_same_seed_gives_the_same_run() -> None:
    numbers = [f"+1415555{n:04d}" for n in range(60)]

    def run(seed: int, order: list[str]) -> dict[str, str]:
        with SandboxServer(seed=seed, rates={"throttle": 0.2, "cut_after": 0.2}) as server:
            shopper = Shopper(server.url)
            seen = {number: shopper.outcome("vogent", number) for number in order}
            shopper.client.close()
            return seen

    first = run(5, numbers)
    assert run(5, numbers[::-1]) == first
    assert run(6, numbers) != first


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/acme/numbers"),
        ("GET", "/timepay/api/v1/numbers/buyNumbers"),
        ("POST", "/fluents/v1/numbers/list"),
        ("DELETE", "/vogent/api/phone_numbers/1"),
        ("POST", "/signalwire/phone_numbers"),
    ],
)
def test_what_no_page_names_is_a_404(shopper: Shopper, method: str, path: str) -> None:
    assert shopper.client.request(method, path, headers=BEARER).status_code == 404


def test_connections_are_kept(sandbox: SandboxServer) -> None:
    with httpx.Client(base_url=sandbox.url, trust_env=False, timeout=PATIENCE) as client:
        streams = {
            client.get("/_sandbox/health").extensions["network_stream"].get_extra_info("client_addr") for _ in range(3)
        }
    assert len(streams) == 1
