"""`dialstock provider` and `dialstock number`: the accounts that numbers are bought from."""
