"""Events, from the table to the stream."""
