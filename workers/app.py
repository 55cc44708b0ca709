"""The Celery app: `celery -A workers.app:app worker --pool=threads`.

Importing this module reads the environment and the configuration, and starts the embedded server where no
REDIS_URL is set. Where that cannot be done, it ends the process with one message.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
from dataclasses import replace
from typing import Any

from celery import Celery, bootsteps, signals
from kombu import Exchange, Queue

from schemas.config.file import Config
from tasks import processes
from tasks.runtime import current, install, queue_of
from workers.broker.app import broker_app
from workers.broker.dropped_messages import kept_requests
from workers.broker.incoming import use_keeping_transport
from workers.broker.listening import Listening
from workers.config_file import LOOK_EVERY, ConfigFile, read_source
from workers.health import check_database, check_usable, tell_if_older
from workers.periodic.beat_schedule import PUBLIC_QUEUE, beat_schedule
from workers.periodic.heartbeat import Heartbeat, kept_for
from workers.periodic.presence import Presence, presence_at
from workers.periodic.scheduler import FileScheduler
from workers.periodic.timers import Timer, Timers
from workers.processes.embedded_redis import connect_embedded
from workers.processes.signs import SIGNS, write_signs
from workers.processes.stop_signals import heed_first
from workers.redis_access.client import connect_redis
from workers.settings import Settings, load_settings
from workers.startup_errors import or_end
from workers.telemetry.logs import dress_celery
from workers.telemetry.traces import set_up_traces
from workers.threads import tell_threads
from workers.wiring import Wiring, prepare_providers, wire, with_config

VISIBILITY_TIMEOUT = 1800
"""Seconds: five times the longest task while the database is there, which is a call and a look.

An answer that waits for the database longer has its message delivered again: that finds another revision, and leaves.
"""


def make_app(settings: Settings, aliases: list[str]) -> Celery:
    """A Celery app with the settings that matter on Redis."""
    include = ["tasks.messages.celery_tasks"]
    app = broker_app("dialstock", settings.broker_url, settings.key_prefix, include=include, set_as_current=True)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_default_queue=PUBLIC_QUEUE,
        task_queues=[_queue(PUBLIC_QUEUE), *(_queue(queue_of(alias)) for alias in aliases)],
        task_annotations=kept_requests(),
        task_store_errors_even_if_ignored=False,
        worker_consumer="workers.broker.incoming:KeepingConsumer",
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=True,
        worker_soft_shutdown_timeout=60.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,
        broker_transport_options=app.conf.broker_transport_options
        | {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 5.0,
            "socket_keepalive": True,
            # Connections whose way is gone are left within 7 s: a second's wait for messages, and twice this.
            "health_check_interval": 3,
        },
        broker_pool_limit=10,
        beat_scheduler="workers.periodic.scheduler:FileScheduler",
        enable_utc=True,
        timezone="UTC",
    )
    return app


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


def _served(settings: Settings) -> Settings:
    if not settings.embedded_redis:
        return settings
    server = connect_embedded(settings.home)
    atexit.register(server.close)
    return settings.with_redis(server.url)


use_keeping_transport()
with or_end():
    settings = load_settings()
    dress_celery()
    # Before anything is started or written: without it, nothing is.
    source = read_source(settings)
    settings = _served(settings)
app = make_app(settings, list(source.config.providers))
app.conf.beat_schedule = beat_schedule(source.config)


def _queues(config: Config) -> list[str]:
    return [PUBLIC_QUEUE, *map(queue_of, config.providers)]


class _Worker:
    """What a worker process holds between its signals."""

    wiring: Wiring | None = None
    timers: Timers | None = None
    presence: Presence | None = None
    _following: Timer | None = None
    _listening: Listening | None = None

    def start(self, **_: Any) -> None:
        """Wire the runtime."""
        with or_end():
            if not settings.embedded_database:
                check_database(settings.database_url)
            for url in (settings.redis_url, settings.broker_url):
                check_usable(url)
            self.wiring = wire(settings, app, config=source.config)
            tell_if_older(settings.database_url)
            install(self.wiring.runtime)
            set_up_traces()
            prepare_providers(self.wiring.runtime)

    def start_child(self, **_: Any) -> None:
        """The same in each child of a prefork pool, which goes on with the file by itself."""
        self.start()
        self.follow()

    def ready(self, sender: Any = None, **_: Any) -> None:
        """Start the timers."""
        if self.wiring is None:
            return
        if self._following is not None:
            self._following.stop()
        self._listening = Listening(sender, _queues(source.config))
        self.timers = Timers(self.wiring.runtime, settings, current)
        self.timers.start()
        self.presence = Presence(self.wiring.database, self.wiring.runtime.now, processes.WORKER, self.follow())
        self.presence.start()

    def follow(self) -> ConfigFile:
        """Take over from now on what stands in the configuration file."""
        file = ConfigFile(settings, source, self._take_over)
        install(replace(current(), file_differs=file.differs))

        def look() -> bool:
            file.look()
            if self._listening is not None:
                self._listening.follow(_queues(file.config))
            return False

        self._following = Timer("configuration", LOOK_EVERY, look)
        self._following.start()
        return file

    def _take_over(self, config: Config) -> None:
        """Whole or not at all: what has begun ends by the configuration that it began with."""
        before = current()
        install(with_config(before, config, os.environ))
        tell_threads(before.config, config)

    def drain(self) -> None:
        """Release nothing more; what runs may end."""
        SIGNS.leave()
        if self.timers is not None:
            self.timers.drain()

    def stop(self, **_: Any) -> None:
        """Publish what is left and close."""
        if self._following is not None:
            self._following.stop()
        if self.timers is not None:
            self.timers.stop()
        if self.presence is not None:
            self.presence.stop()
        if self.wiring is not None:
            self.wiring.close()


class _Drain(bootsteps.StartStopStep):
    """Celery closes its parts in its main loop. Its signal `worker_shutting_down` comes in the handler of SIGTERM.

    The next SIGTERM may interrupt that anywhere, and would wait for ever for a lock that it holds. Celery's own takes
    one where somebody listens: so nobody does.
    """

    def close(self, _parent: Any) -> None:
        _worker.drain()


def _start_signs(**_: Any) -> None:
    """In a worker: tell that it goes on, or waits for a server."""
    write_signs("worker")


class _Beat:
    """What beat holds."""

    _started = False

    def start(self, sender: Any = None, **_: Any) -> None:
        """Tell that it sends, and by which configuration; go on with the file as it changes."""
        if self._started:
            return
        self._started = True
        heed_first(signal.SIGTERM, signal.SIGINT)
        write_signs("beat")
        client = connect_redis(settings.redis_url, settings.key_prefix)
        heart = Heartbeat(client, kept_for(app.conf.beat_schedule))
        heart.start()

        def take_over(config: Config) -> None:
            app.conf.beat_schedule = beat_schedule(config)
            heart.kept = kept_for(app.conf.beat_schedule)

        file = ConfigFile(settings, source, take_over)
        if isinstance(sender.scheduler, FileScheduler):
            sender.scheduler.look = file.look
        presence = presence_at(settings.database_url, processes.BEAT, file)
        presence.start()
        atexit.register(presence.stop)


app.steps["worker"].add(_Drain)
_beat = _Beat()
_worker = _Worker()
signals.worker_init.connect(_start_signs)
signals.worker_init.connect(_worker.start)
signals.worker_process_init.connect(_worker.start_child)
signals.worker_ready.connect(_worker.ready)
signals.worker_shutdown.connect(_worker.stop)
signals.beat_init.connect(_beat.start)

# What is imported stays: no search for garbage looks at it again, nor does the end of the process.
gc.freeze()
