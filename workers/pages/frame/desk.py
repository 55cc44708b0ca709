"""What the pages work on: the tables, and the configuration that is in force."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tasks.runtime import Runtime
from workers.config_file import LOOK_EVERY, ConfigFile, Source
from workers.database.connections import SqlDatabase, migrate
from workers.health import check_database
from workers.pages.frame.shared import Shared
from workers.pages.frame.uploads import Uploads
from workers.periodic.timers import Timer
from workers.settings import Settings
from workers.views.desk import Desk, reading_runtime
from workers.views.orders.progress import Progress, Sampler

CONNECTIONS = 4
"""The most that Flower has to PostgreSQL at once: to look must not take connections from those who buy."""


SEARCHES = 2
"""Searches at a provider that go on at once: they take turns that workers' look-ups wait for."""

FOLLOWED = 100
"""Orders of which it is known how fast they went a moment ago."""

FRESH = 1.0
"""Seconds for which an order's progress is shown again: ten people who watch it cost what one does."""

_SHARE = 4.0
"""A sample that took t seconds is followed by none for four times as long."""


@dataclass
class _Followed:
    """One order that somebody watches."""

    sampler: Sampler
    lock: threading.Lock = field(default_factory=threading.Lock)
    last: Progress | None = None
    next: float = 0.0

    def sample(self) -> Progress:
        with self.lock:
            began = time.monotonic()
            if self.last is None or began >= self.next:
                self.last = self.sampler.sample()
                ended = time.monotonic()
                self.next = ended + max(FRESH, _SHARE * (ended - began))
            return self.last

    def forget(self) -> None:
        """Have the next look sample anew."""
        with self.lock:
            self.last = None


class PagesDesk:
    """Opens a desk for each request, on one database, by the configuration as it stands in the file."""

    def __init__(self, settings: Settings, source: Source) -> None:
        self._settings = settings
        self._file = ConfigFile(settings, source, lambda _: None)
        self._following = Timer("configuration", LOOK_EVERY, self._follow)
        self._lock = threading.Lock()
        self._database: SqlDatabase | None = None
        self.uploads = Uploads()
        self.shared = Shared()
        self.searchers = ThreadPoolExecutor(SEARCHES, thread_name_prefix="search")
        self.searches = threading.BoundedSemaphore(SEARCHES)
        self._followed: OrderedDict[tuple[str, str], _Followed] = OrderedDict()

    def start(self) -> None:
        """Follow the configuration file from now on."""
        self._following.start()

    def close(self) -> None:
        """Follow it no more, and give the connections back."""
        self._following.stop()
        self.uploads.close()
        self.searchers.shutdown(wait=False, cancel_futures=True)
        if self._database is not None:
            self._database.close()

    def _follow(self) -> bool:
        self._file.look()
        return False

    def open(self) -> Desk:
        """A place to work. Raises Away where the database is away or behind."""
        with self._lock:
            if self._database is None:
                self._database = self._connect()
        return Desk(self._settings, reading_runtime(self._settings, self._file.config, self._database))

    def _connect(self) -> SqlDatabase:
        url = self._settings.database_url
        if self._settings.embedded_database:
            migrate(url)
        else:
            check_database(url)
        return SqlDatabase(url, connections=min(CONNECTIONS, self._settings.database_connections))

    def progress(self, runtime: Runtime, order_id: str) -> Progress:
        """How far an order is, with its rate where somebody looked a moment ago."""
        key = (order_id, runtime.config.digest)
        with self._lock:
            followed = self._followed.setdefault(key, _Followed(Sampler(runtime, order_id)))
            self._followed.move_to_end(key)
            if len(self._followed) > FOLLOWED:
                self._followed.popitem(last=False)
        return followed.sample()

    def changed(self, order_id: str) -> None:
        """Somebody changed an order: who looks next sees what came of it."""
        with self._lock:
            followed = [one for (known, _), one in self._followed.items() if known == order_id]
        for one in followed:
            one.forget()
