"""`dialstock audit`."""
