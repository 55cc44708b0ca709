"""Processes: how they start, are watched and stop, and the embedded Redis among them."""
