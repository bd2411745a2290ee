"""A username and password: never shown, never stored unencrypted, sent only to its own server."""

from collections.abc import Mapping
from typing import Any, NoReturn, final

from sendroute.model.owner import Owner

EncryptedCredentials = Mapping[Owner, Mapping[str, str]]
"""Encrypted credentials by account and profile; those of the platform's relays under its key."""


@final
class Credential:
    """The content of a secret. The username is secret too: with many providers it is a key.

    Neither ``repr`` nor ``str`` shows the two, and pickle, copy, msgspec and json refuse to copy
    them. Credentials compare by value, so that a rotated secret is noticed. This is no Struct and
    no dataclass on purpose: those can be turned into text field by field.
    """

    __slots__ = ("password", "username")

    username: str
    password: str

    def __init__(self, username: str, password: str) -> None:
        object.__setattr__(self, "username", username)
        object.__setattr__(self, "password", password)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a credential cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a credential cannot be changed")

    def __repr__(self) -> str:
        return "Credential(<hidden>)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credential):
            return NotImplemented
        return (self.username, self.password) == (other.username, other.password)

    def __hash__(self) -> int:
        return hash((self.username, self.password))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a credential is neither serialised nor copied")
