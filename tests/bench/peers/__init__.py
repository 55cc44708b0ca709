"""What we are measured against: the same buying, as it is commonly written, on Celery, dramatiq and huey."""
