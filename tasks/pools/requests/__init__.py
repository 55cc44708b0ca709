"""Requests to a pool: take a number, give it back, and what was answered."""
