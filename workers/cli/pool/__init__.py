"""`dialstock pool`: stocks of numbers, how they stand, and taking from them by hand."""
