"""Log lines and traces of a process, and what of a URL may stand in them."""
