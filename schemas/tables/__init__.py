"""The tables of the database, and what is said of a column alike on SQLite and PostgreSQL."""
