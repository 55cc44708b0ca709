"""Celery apps that reach the broker, for a worker, for who asks the workers, and for who only sends."""

from __future__ import annotations

from typing import Any

from celery import Celery

from workers.redis_access.sentinel_url import is_sentinel
from workers.redis_access.tls_options import broker_options


def broker_app(name: str, url: str, key_prefix: str, **options: Any) -> Celery:
    """An app whose broker is at *url*, where all names begin with *key_prefix*."""
    where: dict[str, Any] = {}
    if is_sentinel(url):
        # Else Celery's start takes longer for everybody.
        from workers.broker.sentinel import public_url, use_master_transport  # noqa: PLC0415

        use_master_transport()
        url = public_url(url)
        # Celery reads CELERY_BROKER_URL itself, and prefers it to `broker`; to these it does not.
        where = {"broker_read_url": url, "broker_write_url": url}
    app = Celery(name, broker=url, **options)
    transport = {"global_keyprefix": key_prefix} if key_prefix else {}
    app.conf.update(broker_use_ssl=broker_options(url), broker_transport_options=transport, **where)
    return app
