"""`dialstock order find`, and what is shown of orders by criteria."""
