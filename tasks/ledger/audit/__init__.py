"""What providers say we own, in the tables: the runs, the differences, and what was found."""
