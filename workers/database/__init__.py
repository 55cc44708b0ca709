"""SQLite and PostgreSQL: connections, commits that threads share, and the time that the ledger goes by."""
