"""What happens again and again: the timers of each worker, and what beat sends."""
