"""Numbers that nobody names: which are wanted, from whom first, and the order for them."""
