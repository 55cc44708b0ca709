"""`dialstock purchase` and `dialstock buy`: one purchase, whole, and what a person settles of it."""
