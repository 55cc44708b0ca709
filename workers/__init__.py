"""How Dialstock runs: the Celery app, settings, database, embedded server, timers and command line."""
