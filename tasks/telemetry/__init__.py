"""What is told of the work, for logs, metrics and traces."""
