"""A database that went back in time, and the mark outside of it that tells."""
