"""A store in a SQLite file on one host."""
