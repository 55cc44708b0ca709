"""What can be ordered: numbers for sale that fit some criteria, for pools and for orders by criteria alike."""
