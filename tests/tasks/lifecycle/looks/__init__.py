"""Looks at what is in doubt."""
