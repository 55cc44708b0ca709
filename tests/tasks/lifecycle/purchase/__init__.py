"""A purchase from its message to its answer."""
