"""While the database or Redis is away: waiting for it, telling of it, and leaving messages to others."""
