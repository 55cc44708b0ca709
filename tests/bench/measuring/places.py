"""Databases with a past, to buy in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.providers.configured import load_config
from tests.bench.measuring.candidates import Bench, folder
from tests.bench.measuring.dialing import dialstock_environ, provider
from tests.bench.measuring.history import between, write_past
from tests.servers.redis import free_port


@dataclass(frozen=True)
class Place:
    """A database with *rows* purchases of the past, and numbers that are not among them.

    Its stub keeps its port: the account of a purchase tells the provider's address.
    """

    bench: Bench
    kind: str
    rows: int
    url: str
    port: int
    numbers: Iterator[str] = field(default_factory=between, repr=False)

    def fill(self) -> None:
        """Write the past."""
        with folder() as home:
            providers = [provider(f"http://127.0.0.1:{self.port}")]
            environ = dialstock_environ(home, providers, self.bench.redis.url, self.url)
            account = load_config(Path(environ["DIALSTOCK_CONFIG"])).providers["stub"].account
        write_past(self.url, self.rows, provider="stub", account=account)


@contextmanager
def place(bench: Bench, kind: str, rows: int) -> Iterator[Place]:
    """A fresh one; gone at the end."""
    with bench.database(kind) as url:
        made = Place(bench, kind, rows, url, free_port())
        made.fill()
        yield made
