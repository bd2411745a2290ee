"""A store in a SQLite file, for one host."""
