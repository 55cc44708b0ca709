"""The supply of a pool: what it needs, which numbers could be had, and the order that fills it."""
