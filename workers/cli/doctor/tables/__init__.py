"""What the doctor reads in the tables."""
