"""A call to buy and the looks after it: what was meant, what came of it, and evidence that comes late."""
