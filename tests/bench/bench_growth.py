"""What a purchase costs with a million purchases in the table, against a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice

from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import bought, dialstock_environ, provider, submit
from tests.bench.measuring.harness import Measure, celery, measure, medians, rounds, running, setting, stub
from tests.bench.measuring.places import Place, place
from tests.servers import PostgresServer, RedisServer

FEW = 1_000
DATABASES = ("SQLite", "PostgreSQL")


def bench_growth(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 3_000))
    many = setting("ROWS", 1_000_000)
    with ExitStack() as stack:
        places = [stack.enter_context(place(bench, kind, rows)) for kind in DATABASES for rows in (FEW, many)]
        results = medians(rounds({_name(one.kind, one.rows): partial(_buy, one) for one in places}))
    yardsticks = {_name(one.kind, one.rows): _name(one.kind, FEW) for one in places}
    report.publish(
        "Growth of the table",
        (*report.MEASURE_HEADER, "cost"),
        [(*row, _cost(results, name, yardsticks[name])) for name, row in _rows(results, yardsticks)],
        notes=(
            f"{bench.count} purchases by one worker process, with orders, lines, attempts and events of the past; "
            f"medians of {setting('ROUNDS', 3)} rounds; ratios to {FEW:,} rows. The cost is CPU time, the database's "
            "own included; the aim is 1.1 at most."
        ),
    )


def _buy(place: Place) -> Measure:
    bench = place.bench
    bench.redis.flushall()
    with stub(port=place.port) as target, folder() as home:
        environ = dialstock_environ(home, [provider(target.url)], bench.redis.url, place.url)
        before = bought(place.url)
        submit(environ, home, islice(place.numbers, bench.count))
        with running(celery(APP), environ) as worker:
            measured = measure(target, worker, bench.count, bench.server_process(place.kind))
    bench.check(bought(place.url) - before)
    return measured


def _name(kind: str, rows: int) -> str:
    return f"{kind}, {rows:,} rows"


def _rows(results: dict[str, Measure], yardsticks: dict[str, str]) -> Iterator[tuple[str, report.Row]]:
    return zip(results, report.measure_rows(results, yardsticks), strict=True)


def _cost(results: dict[str, Measure], name: str, yardstick: str) -> str:
    one, base = results[name], results[yardstick]
    return f"{(one.cpu + one.database_cpu) / (base.cpu + base.database_cpu):.2f}"
