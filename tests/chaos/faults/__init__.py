"""What a campaign does to workers and their servers."""
