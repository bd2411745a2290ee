"""The store: the assigned route of every domain, and the history of changes.

The rules that must never break (one account per domain, no route to a profile that does not exist,
an append-only history) are keys, checks and triggers of the schema.
:mod:`sendroute.store.tables` is the schema, :mod:`sendroute.store.record` the store that callers
use, and :mod:`sendroute.store.create` creates one. Nothing is imported here, because SQLAlchemy
takes a quarter of a second to import, and commands without a store must not wait for it.
"""
