"""Buying a number as a good engineer writes it by hand: fast, and honest about most failures.

A row before the call and its result after it, a POST with bounded retries and backoff, one message when it is done; a
client and a connection for each thread. What it leaves out is what Dialstock is for: a POST that timed out may have
bought, and is sent again; a message delivered twice while the first call runs buys twice; no limit is kept, nothing
is paused, and a row whose worker died stays as it is.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time

import httpx
import redis

from tests.bench.peers.store import open_store

CHANNEL = "results"
ATTEMPTS = 5
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})

_context = httpx.create_ssl_context()
_local = threading.local()
_redis = redis.Redis.from_url(os.environ["REDIS_URL"])
_store = open_store(os.environ["DATABASE_URL"])
_url = os.environ["PROVIDER_URL"]


class Refused(Exception):
    """The provider does not sell this number, or not now."""


def buy(number: str) -> None:
    """Buy one number, and tell how it went."""
    if not _store.begin(number):
        return
    try:
        known, error = _post(number), None
    except Refused as exc:
        known, error = None, str(exc)
    status = "purchased" if known else "failed"
    _store.finish(number, status, known, error)
    message = {"number": number, "status": status, "provider_number_id": known, "error": error}
    _redis.publish(CHANNEL, json.dumps(message))


def _post(number: str) -> str:
    """The provider's id for the number. Raises Refused."""
    error = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, min(30, 2**attempt)))
        try:
            response = _client().post(_url, json={"number": number})
        except httpx.TransportError as exc:
            error = f"{type(exc).__name__}: {exc}"
            continue
        if response.status_code < 300:
            return str(response.json()["id"])
        error = f"HTTP {response.status_code}: {response.text[:500]}"
        if response.status_code not in _AGAIN:
            break
    raise Refused(error)


def _client() -> httpx.Client:
    client: httpx.Client | None = getattr(_local, "client", None)
    if client is None:
        client = _local.client = httpx.Client(verify=_context, timeout=30)
    return client
