"""The configured providers: how they stand, and how one is asked."""
