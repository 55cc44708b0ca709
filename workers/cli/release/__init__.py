"""`dialstock release`."""
