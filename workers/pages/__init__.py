"""Our pages in Flower, under /dialstock/: orders, purchases, what is held, pools and providers.

They stand in Flower's process, behind its password and in its look. Each answers as JSON at the same address where
that is asked for (Accept: application/json). What they show is what the command line shows.
"""
