"""Secrets: from a reference to its value, bound to its destination, sealed for the store.

Values leave this package only as a :class:`~sendroute.model.credential.Credential` or sealed; no
message, exception or log line holds a part of one.
"""
