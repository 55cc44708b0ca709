"""What both Celery peers set: the same as our own worker, where it matters for speed."""

from __future__ import annotations

from typing import Any


def celery_settings(queue: str) -> dict[str, Any]:
    """Late acknowledgement, no results, one message for each thread."""
    return {
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_default_queue": queue,
        "worker_prefetch_multiplier": 1,
        "broker_transport_options": {"visibility_timeout": 3600},
    }
