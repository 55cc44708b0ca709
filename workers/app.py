"""The Celery app: `celery -A workers.app:app worker --pool=threads`.

Importing this module reads the environment and the configuration, and starts the embedded server where no
REDIS_URL is set. Where that cannot be done, it ends the process with one message.
"""

from __future__ import annotations

import atexit
from typing import Any

from celery import Celery, signals
from kombu import Exchange, Queue

from tasks.runtime import install, queue_of
from workers.broker.app import broker_app
from workers.broker.dropped_messages import kept_requests
from workers.broker.incoming import use_keeping_transport
from workers.health import check_database, check_usable, tell_if_older
from workers.periodic.beat_schedule import PUBLIC_QUEUE, beat_schedule
from workers.periodic.heartbeat import Heartbeat, kept_for
from workers.periodic.timers import Timers
from workers.processes.embedded_redis import connect_embedded
from workers.processes.signs import SIGNS, write_signs
from workers.redis_access.client import connect_redis
from workers.settings import Settings, load_settings
from workers.startup_errors import or_end
from workers.wiring import Wiring, prepare_providers, read_config, wire

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
            "socket_timeout": 10.0,
            "socket_connect_timeout": 5.0,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
        broker_pool_limit=10,
        # Beat gives a sign of life with each look at its schedule.
        beat_max_loop_interval=30.0,
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
    # Before anything is started or written: without it, nothing is.
    config = read_config(settings)
    settings = _served(settings)
app = make_app(settings, list(config.providers))
app.conf.beat_schedule = beat_schedule(config)


class _Worker:
    """What a worker process holds between its signals."""

    wiring: Wiring | None = None
    timers: Timers | None = None

    def start(self, **_: Any) -> None:
        """Wire the runtime: in the worker, and again in each child of a prefork pool."""
        with or_end():
            if not settings.embedded_database:
                check_database(settings.database_url)
            for url in (settings.redis_url, settings.broker_url):
                check_usable(url)
            self.wiring = wire(settings, app)
            tell_if_older(settings.database_url)
            install(self.wiring.runtime)
            prepare_providers(self.wiring.runtime)

    def ready(self, **_: Any) -> None:
        """Start the timers."""
        if self.wiring is not None:
            self.timers = Timers(self.wiring.runtime, settings)
            self.timers.start()

    def drain(self, **_: Any) -> None:
        """Release nothing more; what runs may end."""
        SIGNS.leave()
        if self.timers is not None:
            self.timers.drain()

    def stop(self, **_: Any) -> None:
        """Publish what is left and close."""
        if self.timers is not None:
            self.timers.stop()
        if self.wiring is not None:
            self.wiring.close()


def _start_signs(**_: Any) -> None:
    """In a worker: tell that it goes on, or waits for a server."""
    write_signs("worker")


def _start_heartbeat(**_: Any) -> None:
    """In beat: tell that it sends."""
    write_signs("beat")
    if kept := kept_for(app.conf.beat_schedule):
        Heartbeat(connect_redis(settings.redis_url, settings.key_prefix), kept).start()


_worker = _Worker()
signals.worker_init.connect(_start_signs)
signals.worker_init.connect(_worker.start)
signals.worker_process_init.connect(_worker.start)
signals.worker_ready.connect(_worker.ready)
signals.worker_shutting_down.connect(_worker.drain)
signals.worker_shutdown.connect(_worker.stop)
signals.beat_init.connect(_start_heartbeat)
# That of `worker -B` is a process of its own too.
signals.beat_embedded_init.connect(_start_heartbeat)
