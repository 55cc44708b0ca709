"""Redis over TLS, as managed Redis is: everything works over it, and nothing of ours talks to a server unverified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tasks.redis_keys import BEAT_KEY
from tests.integration.containers import LocalProcess, LocalWorker
from tests.integration.place import KINDS, POOLS, Place
from tests.servers import TlsRedis
from tests.servers.redis import free_port
from tests.servers.tls import PASSWORD
from tests.waiting import eventually

PURCHASED = "dialstock.purchase.purchased"
DOCTOR = ["dialstock", "doctor"]
WORKER = LocalWorker.command()
STARTS = [WORKER, ["dialstock", "worker"], ["dialstock", "beat"], [*DOCTOR, "--quick"]]


@pytest.fixture
def place(tmp_path: Path, sqlite_url: str, tls_redis: TlsRedis) -> Iterator[Place]:
    """A deployment whose Redis is reached over TLS only."""
    with Redis.from_url(tls_redis.url) as client:
        client.flushdb()
    with Place(tmp_path, sqlite_url, tls_redis, pools=POOLS) as found:  # type: ignore[arg-type]
        yield found


def private(tls_redis: TlsRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL names the CA."""


def public(tls_redis: TlsRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the CA, as it trusts the public ones; the URL says nothing of it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_redis.ca))
    monkeypatch.setattr(TlsRedis, "url", TlsRedis.bare_url)


@pytest.mark.parametrize("ca", [private, public])
def test_purchases_before_and_after_every_connection_broke(
    place: Place,
    tls_redis: TlsRedis,
    numbers: Callable[[int], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    ca: Callable[..., None],
) -> None:
    ca(tls_redis, monkeypatch)
    place.setup("worker")
    bought = buy(place, numbers(len(KINDS)))
    assert tls_redis.cut() > 0
    bought += buy(place, numbers(len(KINDS)))
    assert place.charged(bought) == dict.fromkeys(bought, 1)
    place.start_beat("beat")
    with Redis.from_url(tls_redis.url) as client:
        eventually(lambda: client.exists(BEAT_KEY), what="beat gives a sign of life")
    doctor = run(place, DOCTOR)
    assert "1 answered" in doctor
    assert "one sends what is due" in doctor
    assert "is Valkey" in doctor
    log = place.workers[0].logs()
    assert [word for word in ("Traceback", "insecure", PASSWORD) if word in log + doctor] == []


def test_beat_and_flower(place: Place) -> None:
    place.start_beat("beat")
    port = free_port()
    environ = {**place.environ, "FLOWER_BASIC_AUTH": "person:hush"}
    with ExitStack() as stack:
        flower = LocalProcess("flower", ["dialstock", "flower", f"--port={port}"], environ, place.home / "flower.log")
        stack.callback(flower.stop)
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("person", "hush")))

        def waiting() -> int:
            try:
                queues = client.get("/api/queues/length").json()["active_queues"]
            except httpx.TransportError:
                return 0
            return sum(queue["messages"] for queue in queues if queue["name"] == "purchases")

        eventually(lambda: waiting() >= len(POOLS), what="Flower shows the messages that beat sent")
        assert b"insecure" not in flower.logs()


def unnamed_ca(url: str) -> dict[str, str]:
    return {"REDIS_URL": url.partition("?")[0]}


def another_host(url: str) -> dict[str, str]:
    return {"REDIS_URL": url.replace("localhost", "127.0.0.1")}


def unnamed_ca_of_the_broker(url: str) -> dict[str, str]:
    return {"REDIS_URL": url, "CELERY_BROKER_URL": url.partition("?")[0]}


@pytest.mark.parametrize(
    ("change", "starts", "told"),
    [
        (unnamed_ca, STARTS, "in certificate chain: name the file of the CA that signed it in the URL"),
        (another_host, [WORKER], "not valid for '127.0.0.1': write the host in the URL as the certificate names it"),
        (unnamed_ca_of_the_broker, [WORKER], "name the file of the CA"),
    ],
    ids=["unnamed CA", "another host", "unnamed CA of the broker"],
)
def test_who_does_not_trust_the_certificate_tells_once_and_ends(
    place: Place, change: Callable[[str], dict[str, str]], starts: list[list[str]], told: str
) -> None:
    environ = {**place.environ, **change(place.redis.url)}
    with ExitStack() as stack:
        processes = [
            LocalProcess(str(index), command, environ, place.home / f"{index}.log")
            for index, command in enumerate(starts)
        ]
        for process in processes:
            stack.callback(process.stop)
        assert [process.wait() for process in processes] == [3] * len(processes)
    for process in processes:
        text = process.logs().decode()
        assert text.count(told) == 1, text
        assert [word for word in ("Traceback", "insecure", PASSWORD) if word in text] == []


def test_the_doctor_warns_where_nothing_is_verified(place: Place, tls_redis: TlsRedis) -> None:
    for option in ("ssl_cert_reqs=none", f"ssl_check_hostname=false&ssl_ca_certs={tls_redis.ca}"):
        text = run(place, [*DOCTOR, "--quick"], REDIS_URL=f"{tls_redis.bare_url}?{option}")
        assert "is not verified: whoever answers there is believed" in text


def buy(place: Place, numbers: list[str]) -> list[str]:
    """Numbers bought by messages of a plain Celery client, each told on the stream."""
    with place.results() as results:
        place.send(
            *(
                {"name": "dialstock.buy_number", "kwargs": {"number": number, "provider": kind}}
                for number, kind in zip(numbers, KINDS, strict=True)
            )
        )
        for number in numbers:
            results.wait(PURCHASED, number)
    return numbers


def run(place: Place, command: list[str], **environ: str) -> str:
    """What a command says that ends well."""
    process = LocalProcess("command", command, {**place.environ, **environ}, place.home / "command.log")
    status = process.wait()
    text = process.logs().decode()
    assert status == 0, text
    return text
