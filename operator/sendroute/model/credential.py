"""A username and password: the one value that is never shown, stored or sent but to its server."""

from typing import Any, NoReturn, final


@final
class Credential:
    """What a secret holds. Both halves are secret: with many providers the username is a key too.

    Neither ``repr`` nor ``str`` shows them, and what would copy them elsewhere (pickle, copy,
    msgspec, json) refuses. Equal values are equal, so that a changed secret can be seen. It is no
    Struct and no dataclass on purpose: those can be turned into text field by field.
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
