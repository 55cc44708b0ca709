"""What a running worker takes over from its files, and what it may do with its servers."""
