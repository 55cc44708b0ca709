"""Every line of the Procfile, started as a platform starts it, against a real PostgreSQL and a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from celery import Celery
from redis import Redis

from tests.integration.containers import LocalProcess
from tests.integration.place import TOKEN, Place
from tests.servers import PostgresServer, RedisServer
from tests.servers.redis import free_port
from tests.waiting import PATIENCE, eventually
from workers.processes.embedded_redis import find_server

ROOT = Path(__file__).parents[3]
REDIS_PASSWORD = "redis-5ba7-SECRET"
POSTGRES_PASSWORD = "postgres-e1f0-SECRET"
FLOWER = ("person", "flower-77aa-SECRET")


class GuardedRedis(RedisServer):
    """A server that asks for a password."""

    _guarded = False

    @property
    def url(self) -> str:
        return super().url.replace("//", f"//:{REDIS_PASSWORD}@") if self._guarded else super().url

    def guard(self) -> None:
        with Redis.from_url(self.url) as client:
            client.config_set("requirepass", REDIS_PASSWORD)
        self._guarded = True


@pytest.fixture
def place(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Place]:
    """A deployment whose database has no tables yet, and whose servers have passwords."""
    with ExitStack() as stack:
        redis = GuardedRedis(find_server({}))
        stack.callback(redis.close)
        redis.guard()
        url = stack.enter_context(postgres_server.database(empty=True))
        url = url.replace("postgres@", f"postgres:{POSTGRES_PASSWORD}@")
        yield stack.enter_context(Place(tmp_path, url, redis))


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines)}


def test_every_line_of_the_procfile_starts_buys_and_stops(place: Place, number: str) -> None:
    # What ends by itself is no line: foreman and its like take that for the end of all.
    lines = procfile()
    assert set(lines) == {"worker", "beat", "flower"}
    environ = {**place.environ, "FLOWER_BASIC_AUTH": ":".join(FLOWER)}
    port = free_port()
    with ExitStack() as stack:

        def start(name: str, command: str) -> LocalProcess:
            process = LocalProcess(name, ["sh", "-c", f"exec {command}"], environ, place.home / f"{name}.log")
            stack.callback(process.stop)
            return process

        assert start("migrate", "dialstock migrate").wait() == 0, (place.home / "migrate.log").read_text()
        running = [start(name, lines[name]) for name in ("worker", "beat")]
        running.append(start("flower", f"{lines['flower']} --port {port}"))
        eventually(lambda: b"Connected to" in running[2].logs(), what="Flower listens to events, which nobody keeps")
        buy(place, number)
        watch(f"http://127.0.0.1:{port}", number)
        eventually(lambda: b"beat: Starting" in running[1].logs(), what="beat runs")

        assert [process.status for process in running] == ["running"] * 3
        for process in running:
            process.kill("SIGTERM")
        assert [process.wait() for process in running] == [0, 0, 0]
        logs = b"".join(process.logs() for process in running).decode()
    assert "Traceback" not in logs
    for secret in (TOKEN, REDIS_PASSWORD, POSTGRES_PASSWORD, FLOWER[1]):
        assert secret not in logs


def buy(place: Place, number: str) -> None:
    with place.results() as results, Celery(broker=place.redis.url, set_as_current=False) as app:
        app.send_task("dialstock.buy_number", kwargs={"number": number, "provider": "bird"}, queue="purchases")
        results.wait("dialstock.purchase.purchased", number)
    assert place.purchase(number)["status"] == "purchased"
    assert place.charged([number]) == {number: 1}


def watch(url: str, number: str) -> None:
    """Flower asks for its password, shows the worker and the task, and shows no secret."""

    def answers() -> bool:
        try:
            return client.get("/healthcheck").status_code == 200
        except httpx.HTTPError:
            return False

    with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
        eventually(answers, what="Flower answers")
        assert [client.get(path).status_code for path in ("/", "/workers", "/api/workers", "/broker")] == [401] * 4
        client.auth = FLOWER
        [worker] = eventually(lambda: client.get("/api/workers", params={"refresh": "1"}).json())
        eventually(
            lambda: client.get(f"/worker/{worker}").status_code == 200, what="the worker tells Flower all in time"
        )
        assert client.get("/", follow_redirects=True).status_code == 200
        tasks = eventually(lambda: client.get("/api/tasks").json(), what="Flower knows tasks")
        paths = ["/workers", f"/worker/{worker}", "/tasks", "/broker", "/api/workers", "/api/tasks"]
        answers_to = {path: client.get(path) for path in [*paths, *(f"/task/{task}" for task in tasks)]}
        shown = "".join(answer.text for answer in answers_to.values())
    assert {answer.status_code for answer in answers_to.values()} == {200}
    assert worker in shown
    assert "dialstock.buy_number" in shown
    for secret in (TOKEN, REDIS_PASSWORD, POSTGRES_PASSWORD, FLOWER[1]):
        assert secret not in shown
