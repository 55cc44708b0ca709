"""Pools: stocks of bought numbers that are topped up by themselves, and that other services take from."""
