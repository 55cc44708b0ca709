"""Messages between callers, beat and workers: sent, taken in, and kept where Celery would drop them."""
