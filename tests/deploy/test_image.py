"""The image does what deploy/ promises: it is built, and run against real servers with nothing but its own files."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import make_url

from schemas.tables.purchases import PURCHASE
from tests.deploy.container import Container, Mounts
from tests.deploy.image import Image, built_image, need_tools
from tests.integration.place import TOKEN, Place
from tests.servers import PostgresServer, RedisServer
from tests.servers.redis import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(1200)

NUMBERS = [f"+1415555{number:04d}" for number in range(2000, 2012)]
PASSWORD = "person:flower-5e1c-SECRET"
Start = Callable[..., Container]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    need_tools()
    with built_image(tmp_path_factory.mktemp("build")) as built:
        yield built


@pytest.fixture
def place(image: Image, postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path) -> Iterator[Place]:
    """A sandbox of all providers, a Redis, and a database without tables."""
    home = tmp_path / "config"
    home.mkdir(mode=0o755)
    with postgres_server.database(empty=True) as url, Place(home, url, redis_server) as place:
        yield place


@pytest.fixture
def start(image: Image, place: Place, tmp_path: Path) -> Iterator[Start]:
    """Starts the image with a command, or its own, as a deployment does."""
    folder = Path(str(make_url(place.database_url).query["host"]))
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)
    servers = {
        "DATABASE_URL": "postgresql://postgres@/" + str(make_url(place.database_url).database) + "?host=/run/database",
        "REDIS_URL": place.redis.url,
    }
    settings = {"DIALSTOCK_CONFIG": "/etc/dialstock/providers.toml", "PROVIDERS_TOKEN": TOKEN}
    with ExitStack() as stack:

        def begin(name: str, command: Sequence[str] = (), **environ: str | None) -> Container:
            wanted = {**servers, **settings, **environ}
            given = {variable: value for variable, value in wanted.items() if value is not None}
            container = Container(image, name, given, Mounts(place.home, folder, tmp_path), command)
            stack.callback(container.stop)
            return container

        yield begin


def done(container: Container) -> tuple[int, str]:
    """The exit status and all output, once it has ended."""
    return container.wait(), container.logs().decode()


def healthy(image: Image, container: Container) -> bool:
    return container.execute(*image.probe).returncode == 0


def test_every_module_imports_from_the_image(start: Start) -> None:
    every = (Path(__file__).with_name("import_all.py")).read_text()
    assert done(start("imports", ["python", "-I", "-c", every])) == (0, "")


def test_it_has_no_rights_and_no_place_to_leave_a_program(start: Start) -> None:
    script = (
        "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; id -u; id -G; "
        "touch /opt/dialstock/x /etc/dialstock/x 2>&1; cp /bin/true /tmp/t && /tmp/t; echo $?"
    )
    status, said = done(start("rights", ["sh", "-c", script]))
    assert status == 0
    lines = [line.split() for line in said.splitlines()]
    assert lines[:5] == [["CapEff:", "0" * 16], ["CapBnd:", "0" * 16], ["NoNewPrivs:", "1"], ["10001"], ["10001"]]
    assert said.count("Read-only file system") == 2
    assert lines[-1] == ["126"]


@pytest.mark.parametrize("command", ["worker", "beat", "flower", "migrate", "doctor --quick", "order list"])
def test_without_a_server_it_ends_and_says_which(start: Start, command: str) -> None:
    url = "postgresql://postgres:s3cr3t@db/x"
    ended = start("misspelt", ["dialstock", *command.split()], DATABASE_URL=None, DATABSE_URL=url)
    status, said = done(ended)
    assert status == 2
    assert "DATABASE_URL (or DATABASE_URL_FILE) not set, and DIALSTOCK_EMBEDDED=no" in said
    assert "DATABSE_URL is set: is DATABASE_URL meant" in said
    assert "s3cr3t" not in said


def test_the_demo_runs_in_it(start: Start) -> None:
    status, said = done(start("demo", ["dialstock", "demo", "--numbers", "20"]))
    assert status == 0, said


def test_a_deployment_buys_tells_its_health_and_loses_nothing_as_it_stops(
    image: Image, place: Place, start: Start
) -> None:
    status, said = done(start("migrate", ["dialstock", "migrate", "--wait", "60"]))
    assert status == 0, said
    port = free_port()
    worker, beat = start("worker-1"), start("beat", ["dialstock", "beat"])
    pages = ["dialstock", "flower", "--address", "0.0.0.0", "--port", str(port)]
    flower = start("flower", pages, FLOWER_BASIC_AUTH=f"{PASSWORD}\n")
    running = [worker, beat, flower]
    eventually(lambda: b"ready." in worker.logs(), what="the worker is ready")
    for container in running:
        eventually(lambda one=container: healthy(image, one), what=f"{container.name} is healthy")
    assert worker.execute("dialstock", "doctor", "--quick").returncode == 0
    eventually(lambda: answers(port), what="Flower takes its password")

    buy_slowly(place, NUMBERS[:6])
    eventually(lambda: len(place.control.calls()) >= 3, what="calls are under way")
    for container in running:
        container.kill("SIGTERM")
    assert [container.wait() for container in running] == [0, 0, 0], worker.logs().decode()[-3000:]
    begun = place.charged(NUMBERS)
    assert begun
    assert all(place.purchase(number)["status"] == "purchased" for number in begun)

    second = start("worker-2")
    buy_slowly(place, NUMBERS[6:])
    eventually(lambda: all(bought(place, number) for number in NUMBERS), what="the next worker buys the rest")
    assert place.charged(NUMBERS) == dict.fromkeys(NUMBERS, 1)
    second.kill("SIGTERM")
    assert second.wait() == 0
    for container in (*running, second):
        logs = container.logs().decode()
        assert "Traceback" not in logs
        assert TOKEN not in logs


def buy_slowly(place: Place, numbers: Sequence[str]) -> None:
    """Each call takes some seconds."""
    for _ in numbers:
        place.control.plan("vogent", "slow", seconds=3.0)
    place.send(
        *[{"name": "dialstock.buy_number", "kwargs": {"number": number, "provider": "vogent"}} for number in numbers]
    )


def bought(place: Place, number: str) -> bool:
    return any(row["status"] == "purchased" for row in place.rows(PURCHASE, number=number))


def answers(port: int) -> bool:
    user, _, password = PASSWORD.partition(":")
    try:
        page = httpx.get(f"http://127.0.0.1:{port}/workers", auth=(user, password), trust_env=False, timeout=10)
    except httpx.HTTPError:
        return False
    return page.status_code == 200
