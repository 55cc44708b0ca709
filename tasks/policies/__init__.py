"""Retry, pace and pause, as values that return decisions: they never send or write."""
