"""The record: which route every domain has, and how it came to it.

The rules that must never break (one owner a domain, no domain at a profile that is not there, a
history that nobody rewrites) are the schema's own keys, checks and triggers.
:mod:`sendroute.store.tables` is the schema, :mod:`sendroute.store.record` the store that callers
hold, :mod:`sendroute.store.create` makes one. Nothing is imported here: SQLAlchemy costs a
quarter of a second, and a command that needs no store must not pay it.
"""
