"""What a purchase costs with a million purchases in the table, against a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tasks.providers.configured import load_config
from tests.bench import report
from tests.bench.candidates import APP, Bench, folder
from tests.bench.dialing import bought, dialstock_environ, provider, submit
from tests.bench.harness import Measure, celery, measure, medians, rounds, running, setting, stub
from tests.bench.history import between, write_past
from tests.servers import PostgresServer, RedisServer
from tests.servers.redis import free_port

FEW = 1_000
DATABASES = ("SQLite", "PostgreSQL")


def bench_growth(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 3_000))
    many = setting("ROWS", 1_000_000)
    with ExitStack() as stack:
        places = [stack.enter_context(_place(bench, kind, rows)) for kind in DATABASES for rows in (FEW, many)]
        results = medians(rounds({place.name: place.buy for place in places}))
    yardsticks = {place.name: _name(place.kind, FEW) for place in places}
    report.publish(
        "Growth of the table",
        (*report.MEASURE_HEADER, "cost"),
        [(*row, _cost(results, name, yardsticks[name])) for name, row in _rows(results, yardsticks)],
        notes=(
            f"{bench.count} purchases by one worker process, with orders, lines, attempts and events of the past; "
            f"medians of {setting('ROUNDS', 3)} rounds; ratios to {FEW:,} rows. The cost is CPU time, the database's "
            "own included; the aim is 1.3 at most."
        ),
    )


@dataclass(frozen=True)
class _Place:
    """A database with a past. Its stub keeps its port: the account of a purchase tells the provider's address."""

    bench: Bench
    kind: str
    rows: int
    url: str
    port: int
    numbers: Iterator[str] = field(default_factory=between, repr=False)

    @property
    def name(self) -> str:
        return _name(self.kind, self.rows)

    def buy(self) -> Measure:
        """Buy, and measure."""
        count = self.bench.count
        self.bench.redis.flushall()
        with stub(port=self.port) as target, folder() as home:
            environ = dialstock_environ(home, [provider(target.url)], self.bench.redis.url, self.url)
            before = bought(self.url)
            submit(environ, home, islice(self.numbers, count))
            with running(celery(APP), environ) as worker:
                measured = measure(target, worker, count, self.bench.server_process(self.kind))
        self.bench.check(bought(self.url) - before)
        return measured

    def fill(self) -> None:
        """Write the past."""
        with folder() as home:
            providers = [provider(f"http://127.0.0.1:{self.port}")]
            environ = dialstock_environ(home, providers, self.bench.redis.url, self.url)
            account = load_config(Path(environ["DIALSTOCK_CONFIG"])).providers["stub"].account
        write_past(self.url, self.rows, provider="stub", account=account)


@contextmanager
def _place(bench: Bench, kind: str, rows: int) -> Iterator[_Place]:
    with bench.database(kind) as url:
        place = _Place(bench, kind, rows, url, free_port())
        place.fill()
        yield place


def _name(kind: str, rows: int) -> str:
    return f"{kind}, {rows:,} rows"


def _rows(results: dict[str, Measure], yardsticks: dict[str, str]) -> Iterator[tuple[str, report.Row]]:
    return zip(results, report.measure_rows(results, yardsticks), strict=True)


def _cost(results: dict[str, Measure], name: str, yardstick: str) -> str:
    one, base = results[name], results[yardstick]
    return f"{(one.cpu + one.database_cpu) / (base.cpu + base.database_cpu):.2f}"
