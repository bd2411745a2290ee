"""Secrets: from a reference to its value, bound to its destination, encrypted for the store.

Values leave this package only as a :class:`~sendroute.model.credential.Credential` or encrypted. No
message, exception or log line contains a part of one.
"""
