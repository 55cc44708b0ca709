"""Celery's side: the tasks, the names that callers use, and which messages were answered before."""
