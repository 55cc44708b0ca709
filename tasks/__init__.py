"""What Dialstock does: one thin Celery task per use case over plain domain code.

Reaches the database, Redis and the providers through one object that `workers` wires at start-up.
"""
